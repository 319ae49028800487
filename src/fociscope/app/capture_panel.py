"""Capture: drop files, take the example, or simulate with sliders; and what was captured."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nicegui import events, ui

from fociscope.app.capture_input import (
    UPLOAD_BYTES,
    CaptureInput,
    from_upload,
    shipped_example,
    simulated,
    upload_suffixes,
    without_folders,
)
from fociscope.app.controls import FileField, card, labelled_slider, plot, say, section, upload
from fociscope.app.follow_panel import FollowPanel
from fociscope.app.instrument_panel import InstrumentPanel
from fociscope.app.jobs import LatestOnly
from fociscope.app.methods import described
from fociscope.app.plots import LIGHT_SCALE, Shown, Theme, image
from fociscope.app.scene import MOST_LAYERS, SceneSettings
from fociscope.app.session import Session
from fociscope.app.uploads import save_files
from fociscope.errors import FociscopeError, SceneError
from fociscope.networks.store import usual_model
from fociscope.reconstruction.checks import PITCH_TOLERANCE
from fociscope.typing import Float32Array

__all__ = ["CapturePanel", "SceneSliders"]

DROP = "Drop sensor A, or A and B, here"
#: Suffixes of an imager file and of a model, which may be dropped as well.
SETTINGS = (".toml", ".safetensors")
#: Seconds per frame while a series is played, at least.
PLAY_S = 0.3


class CapturePanel:
    """The left side of the page."""

    def __init__(
        self,
        session: Session,
        theme: Callable[[], Theme],
        *,
        changed: Callable[[], None],
        watch: Path | None = None,
    ) -> None:
        """Build it; `changed` is called when there is a new map, `watch` is what is followed."""
        self._session, self._theme, self._changed = session, theme, changed
        self._is_playing = False
        self._follow: FollowPanel | None = None
        self._simulate = LatestOnly(self._simulate_now)
        self._again = LatestOnly(self._look_again)
        with ui.column().classes("w-full min-w-0 gap-3"):
            with card("Capture"):
                self._source = ui.tabs(on_change=self._other_source)
                self._source.props("dense no-caps align=justify").classes("w-full")
                names = ("Drop", "Example", "Simulate")
                with self._source:
                    for name in names if watch is None else ("Follow", *names):
                        ui.tab(name)
                first = "Drop" if watch is None else "Follow"
                with ui.tab_panels(self._source, value=first, animated=False) as panels:
                    panels.classes("w-full bg-transparent")
                    with ui.tab_panel("Drop").classes("p-0 pt-2 gap-2"):
                        self._build_drop()
                    with ui.tab_panel("Example").classes("p-0 pt-2 gap-2"):
                        ui.label(
                            "A simulated capture pair that ships with Fociscope: four layers, "
                            "51 x 51 pixels of 55 µm, 40 dB. Its truth is known."
                        ).classes("text-xs opacity-70")
                    with ui.tab_panel("Simulate").classes("p-0 pt-2 gap-1"):
                        self.sliders = SceneSliders(self._simulate)
                    if watch is not None:
                        self._follow = self._build_follow(watch)
            self._build_seen()

    async def _other_source(self) -> None:
        """Show at once what a tab is about."""
        if self._source.value == "Example":
            await self.show_example()
        elif self._source.value == "Simulate":
            await self._simulate()
        elif self._source.value == "Follow" and self._follow is not None:
            await self._follow.look()

    def _build_follow(self, watch: Path) -> FollowPanel:
        with ui.tab_panel("Follow").classes("p-0 pt-2 gap-2"):
            return FollowPanel(
                self._session,
                watch,
                is_open=lambda: self._source.value == "Follow",
                show=lambda: self._show(new_captures=True),
            )

    def _build_drop(self) -> None:
        self._upload = upload(
            label=DROP,
            suffixes=(*upload_suffixes(), *SETTINGS),
            most=4,
            sent=self._dropped,
            rejected=self._rejected,
        ).props(f'flat aria-label="{DROP}"')
        ui.label(
            "TIFF, PNG or NPY; stacks for series; or one .mat of the published layout; with them, "
            f"if you like, an imager.toml. Up to {UPLOAD_BYTES // 2**20} MiB, gone when you leave."
        ).classes("text-xs opacity-60")
        with ui.expansion("Your imager and chip").props("dense").classes("w-full text-sm"):
            self.instrument = InstrumentPanel(
                self._session, changed=lambda: self._show(new_captures=False)
            )

    def _build_seen(self) -> None:
        with card() as self._seen:
            self._title = ui.label("").classes("text-sm font-medium break-all")
            self._facts = ui.label("").classes("text-xs opacity-60")
            self._swap = ui.button("Swap A and B", icon="swap_vert", on_click=self._swap_sensors)
            self._swap.props("flat dense no-caps size=sm")
            self._series = ui.column().classes("w-full gap-0")
            self._pictures = ui.grid().classes(
                "w-full grid-cols-1 sm:grid-cols-2 lg:grid-cols-1 gap-1"
            )
            self._plots: list[ui.plotly] = []
            section("Model")
            self._model = ui.select([], on_change=self._again).props(
                'dense outlined options-dense aria-label="Model"'
            )
            self._model.classes("w-full")
            self._own = FileField(
                "Your own model",
                "as `fociscope train` writes it",
                suffixes=(".safetensors",),
                most=1,
                folder=lambda: self._session.new_folder("model"),
                taken=self._take_model,
                cleared=self._without_own_model,
            )
            self._layers = ui.select([], label="Layers to look for", on_change=self._again)
            self._layers.props("dense outlined options-dense").classes("w-full")
        self._seen.set_visibility(False)
        self._frame: ui.slider | None = None

    async def show_example(self) -> None:
        """Look at the shipped example."""
        await self._look_at(shipped_example)

    async def _look_at(self, make: Callable[[], CaptureInput], *, quietly: bool = False) -> bool:
        """Look at what `make` gives, or say why not."""
        try:
            capture_input = await self._session.jobs.quick(make)
            await self._session.reconstruct(capture_input)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        self._show(new_captures=True)
        return True

    async def _dropped(self, event: events.MultiUploadEventArguments) -> None:
        self._upload.reset()
        folder = self._session.new_folder("drop")
        try:
            sent = await save_files(event.files, folder, (*upload_suffixes(), *SETTINGS))
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        captures = [path for path in sent if path.suffix.lower() not in SETTINGS]
        await self._take_settings([path for path in sent if path not in captures])
        if captures:
            has_bad_pixels = bool(self._session.options.chip_files[2])
            await self._look_at(lambda: from_upload(captures, allow_non_finite=has_bad_pixels))

    async def _take_settings(self, files: list[Path]) -> None:
        """Take an imager file and a model that were dropped with captures, or alone."""
        for path in files:
            if path.suffix.lower() == ".toml":
                await self.instrument.take_imager([path])
            elif await self._take_model([path]):
                self._own.show([path])

    async def _take_model(self, files: list[Path]) -> bool:
        """Reconstruct with a visitor's own model; return whether it is one."""
        session = self._session
        try:
            with without_folders(files):
                name = await session.jobs.quick(session.add_model, files[0])
            await self._rerun(model=session.named_model(name))
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        if session.model != name:
            say(f"{name} takes another number of sensors than this capture has; drop one for it")
        return True

    async def _without_own_model(self) -> bool:
        """Let go of the visitor's own model."""
        session = self._session
        session.own_models.clear()
        assert session.capture_input is not None
        await self._rerun(model=usual_model(session.capture_input.sensors))
        return True

    async def _rerun(self, **changes: Any) -> None:
        """Reconstruct with other options, and show the map."""
        await self._session.rerun(**changes)
        self._show(new_captures=False)

    def _rejected(self) -> None:
        say(
            f"not taken: one or two files are expected, {', '.join(upload_suffixes())}, of at most "
            f"{UPLOAD_BYTES // 2**20} MiB together, and with them an imager (.toml) or a model "
            "(.safetensors)",
            wrong=True,
        )

    async def _swap_sensors(self) -> None:
        capture_input = self._session.capture_input
        if capture_input is not None and len(capture_input.files) == 2:
            await self._look_at(lambda: _swapped(capture_input))

    async def _simulate_now(self) -> None:
        settings = self.sliders.settings()
        if settings is not None:
            await self._look_at(lambda: simulated(settings))

    async def _look_again(self) -> None:
        """Take another frame, another model, or another number of layers."""
        session = self._session
        frame = 0 if self._frame is None else int(self._frame.value) - 1
        model, layers = self._model.value, self._layers.value or None
        wish = frame, model, layers
        if session.capture_input is None or model is None:
            return
        if wish == (session.frame, session.model, session.options.layers):
            return
        try:
            named = session.named_model(model)
            await session.rerun(frame=frame, model=named, layers=layers)
        except FociscopeError as error:
            self._is_playing = False
            say(str(error), wrong=True)
            return
        self._show(new_captures=False)

    def _show(self, *, new_captures: bool) -> None:
        """Show what was captured, and let the map be drawn."""
        capture_input = self._session.capture_input
        if capture_input is None:
            return
        if new_captures:
            self._seen.set_visibility(True)
            self._title.set_text(capture_input.title)
            self._swap.set_visibility(
                len(capture_input.files) == 2 and capture_input.kind == "files"
            )
            self._build_series(len(capture_input.frames))
        self._show_choices(capture_input.sensors)
        self.draw()
        self._changed()

    def _show_choices(self, sensors: int) -> None:
        """Offer the models for these captures, and the layers that the chosen one tells apart."""
        session = self._session
        models = session.models(sensors)
        if list(self._model.options) != models or self._model.value != session.model:
            self._model.set_options(models, value=session.model)
        info = described(session.named_model(session.model))
        layers = {0: f"{info.layers}, as the model does"} | {
            n: f"at most {n}" for n in range(1, info.architecture.layers + 1)
        }
        chosen = session.options.layers or 0
        if self._layers.options != layers or self._layers.value != chosen:
            self._layers.set_options(layers, value=chosen)

    def _build_series(self, frames: int) -> None:
        """Offer the frames of a series, from the one that is looked at."""
        self._series.clear()
        self._frame, self._is_playing = None, False
        if frames == 1:
            return
        with self._series, ui.row().classes("w-full items-center no-wrap gap-2"):
            self._play = ui.button(icon="play_arrow", on_click=self._play_series)
            self._play.props('flat round dense aria-label="Play"')
            with ui.column().classes("grow min-w-0"):
                self._frame = labelled_slider(
                    "Capture of the series",
                    low=1,
                    high=frames,
                    step=1,
                    value=self._session.frame + 1,
                    unit=f"of {frames}",
                    on_change=self._again,
                )

    async def _play_series(self) -> None:
        """Show frame after frame up to the last, from the first if that is reached; or stop."""
        if self._is_playing:
            self._is_playing = False
            return
        self._is_playing = True
        slider, session = self._frame, self._session
        assert slider is not None
        assert session.capture_input is not None
        last = len(session.capture_input.frames) - 1
        frame = -1 if session.frame >= last else session.frame
        self._play.props('icon=pause aria-label="Pause"')
        while self._is_playing and frame < last:
            began = time.monotonic()
            slider.set_value(frame + 2)
            await self._again()
            while self._is_playing and session.frame != slider.value - 1 and not session.is_closed:
                await asyncio.sleep(0.02)  # the slider's own wish is at work
            frame = session.frame
            await asyncio.sleep(max(0.0, began + PLAY_S - time.monotonic()))
        self._is_playing = False
        self._play.props('icon=play_arrow aria-label="Play"')

    def draw(self) -> None:
        """Draw the captures."""
        result = self._session.result
        if result is None:
            return
        images, pitch = result.captures, result.imager.square_pitch_um
        height, width = images.shape[-2:]
        self._facts.set_text(
            f"{width} x {height} pixels of {pitch:g} µm, {len(images)} sensor(s); "
            f"reconstructed in {1000 * self._session.seconds:.0f} ms{self._stated_otherwise(pitch)}"
        )
        names = ("Sensor A, on top", "Sensor B, underneath")
        figures = [image(picture, pitch, _light(picture), self._theme()) for picture in images]
        if len(figures) != len(self._plots):
            self._pictures.clear()
            with self._pictures:
                self._plots = []
                for figure, name in zip(figures, names, strict=False):
                    with ui.column().classes("w-full gap-0 min-w-0"):
                        ui.label(name).classes("text-xs opacity-70")
                        self._plots.append(plot(figure, f"Image of {name}", "230px"))
            return
        for drawn, figure in zip(self._plots, figures, strict=True):
            drawn.update_figure(figure)

    def _stated_otherwise(self, pitch_um: float) -> str:
        """Return a remark where the files state another pixel size; programs often do in vain."""
        capture_input = self._session.capture_input
        stated = None if capture_input is None else capture_input.pixel_size_um
        if stated is None or abs(stated / pitch_um - 1) <= PITCH_TOLERANCE:
            return ""
        return f". The files state pixels of {stated:g} µm: set the imager above if that is true."


class SceneSliders:
    """Layers and their depths, coverage, half angle, pitch, gap, SNR; and another specimen."""

    def __init__(self, changed: Callable[[], Any]) -> None:
        """Build them; `changed` is called while they move."""
        self._changed = changed
        usual = SceneSettings()
        self._seed = usual.seed
        self._count = labelled_slider(
            "Layers", low=1, high=MOST_LAYERS, step=1, value=4, on_change=self._other_count
        )
        self._depths_at = ui.column().classes("w-full gap-1 pl-2")
        self._depths: list[ui.slider] = []
        section("Specimen and imager")

        def slider(
            label: str, low: float, high: float, step: float, value: float, unit: str
        ) -> Any:
            return labelled_slider(
                label,
                low=low,
                high=high,
                step=step,
                value=value,
                unit=unit,
                on_change=self._changed,
            )

        self._coverage = slider("Coverage", 2, 60, 1, 100 * usual.coverage, "% of a layer")
        self._angle = slider("Half angle of the grating", 8, 30, 0.5, 18, "°")
        self._pitch = slider("Pixel pitch", 20, 110, 1, 55, "µm")
        self._gap = labelled_slider(
            "Gap from A to B",
            low=300,
            high=2000,
            step=10,
            value=1000,
            unit="µm",
            on_change=self._other_gap,
        )
        self._snr = slider("Peak SNR", 10, 50, 1, usual.peak_snr_db, "dB")
        with ui.row().classes("w-full items-center justify-between"):
            self._sensors = ui.toggle({2: "A and B", 1: "A alone"}, value=2, on_change=changed)
            self._sensors.props('dense no-caps unelevated aria-label="Sensors"')
            ui.button("Another specimen", icon="casino", on_click=self._another).props(
                "flat dense no-caps"
            )
        self._build_depths()

    def settings(self) -> SceneSettings | None:
        """Return what they say; None, and a message, where it cannot be."""
        try:
            return SceneSettings(
                depth_um=tuple(float(slider.value) for slider in self._depths),
                coverage=self._coverage.value / 100,
                half_angle_deg=self._angle.value,
                pixel_pitch_um=self._pitch.value,
                gap_um=self._gap.value,
                peak_snr_db=self._snr.value,
                sensors=self._sensors.value,
                seed=self._seed,
            )
        except (ValueError, SceneError):  # the page sent something else than its sliders can
            say("the sliders say something that cannot be; load the page again", wrong=True)
            return None

    def _build_depths(self) -> None:
        count, gap = int(self._count.value), float(self._gap.value)
        self._depths_at.clear()
        with self._depths_at:
            self._depths = [
                labelled_slider(
                    f"Depth of layer {n + 1}",
                    low=0,
                    high=gap,
                    step=5,
                    value=round(gap * (n + 0.5) / count / 5) * 5,
                    unit="µm",
                    on_change=self._changed,
                )
                for n in range(count)
            ]

    async def _other_count(self) -> None:
        self._build_depths()
        await self._changed()

    async def _other_gap(self) -> None:
        gap = float(self._gap.value)
        for slider in self._depths:
            slider.props(f"max={gap:g}")
            slider.set_value(min(slider.value, gap))
        await self._changed()

    async def _another(self) -> None:
        self._seed = random.randrange(1, 10_000)
        await self._changed()


def _light(picture: Float32Array) -> Shown:
    # One bright cell would leave all else dark; the mouse still tells the value.
    high = float(np.quantile(picture, 0.997)) or float(picture.max())
    return Shown(LIGHT_SCALE, 0.0, high, "light", digits=".4g")


def _swapped(capture_input: CaptureInput) -> CaptureInput:
    return replace(
        capture_input,
        frames=capture_input.frames[:, ::-1].copy(),
        names=capture_input.names[::-1],
        files=capture_input.files[::-1],
    )
