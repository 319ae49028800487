"""Capture: drop files, take the example, or simulate with sliders; and what was captured."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from nicegui import events, ui

from fociscope.app.capture_input import (
    UPLOAD_BYTES,
    CaptureInput,
    from_upload,
    safe_name,
    shipped_example,
    simulated,
    upload_suffixes,
)
from fociscope.app.controls import card, labelled_slider, plot, say, section
from fociscope.app.methods import models_for
from fociscope.app.plots import LIGHT_SCALE, Shown, Theme, image
from fociscope.app.scene import MOST_LAYERS, SceneSettings
from fociscope.app.session import LatestOnly, Session, in_thread
from fociscope.errors import FociscopeError, SceneError
from fociscope.imager import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.reconstruction.checks import PITCH_TOLERANCE
from fociscope.typing import Float32Array

__all__ = ["CapturePanel", "SceneSliders"]

DROP = "Drop sensor A, or A and B, here"


class CapturePanel:
    """The left side of the page."""

    def __init__(
        self, session: Session, theme: Callable[[], Theme], *, changed: Callable[[], None]
    ) -> None:
        """Build it; `changed` is called when there is a new map."""
        self._session, self._theme, self._changed = session, theme, changed
        self._simulate = LatestOnly(self._simulate_now)
        self._again = LatestOnly(self._look_again)
        with ui.column().classes("w-full min-w-0 gap-3"):
            with card("Capture"):
                self._source = ui.tabs(on_change=self._other_source)
                self._source.props("dense no-caps align=justify").classes("w-full")
                with self._source:
                    for name in ("Drop", "Example", "Simulate"):
                        ui.tab(name)
                with ui.tab_panels(self._source, value="Drop", animated=False) as panels:
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
            self._build_seen()

    async def _other_source(self) -> None:
        """Show at once what a tab is about."""
        if self._source.value == "Example":
            await self.show_example()
        elif self._source.value == "Simulate":
            await self._simulate()

    def _build_drop(self) -> None:
        self._upload = ui.upload(
            label=DROP,
            multiple=True,
            auto_upload=True,
            max_files=2,
            max_total_size=UPLOAD_BYTES,
            on_multi_upload=self._dropped,
            on_rejected=self._rejected,
        ).props(f'flat accept="{",".join(upload_suffixes())}" aria-label="{DROP}"')
        ui.label(
            "TIFF, PNG or NPY; stacks for series; or one .mat of the published layout. "
            f"Up to {UPLOAD_BYTES // 2**20} MiB, gone when you leave."
        ).classes("text-xs opacity-60")
        with ui.expansion("The imager of these files").props("dense").classes("w-full text-sm"):
            reference = Imager.reference()
            self._pitch = _number("Pixel pitch", "µm", reference.pixel_pitch_um, 1, 1000)
            self._gap = _number("Gap from A to B, or depth", "µm", reference.gap_um, 50, 20_000)
            self._angle = _number("Half angle of the grating", "degrees", 18.0, 4, 60)
            ui.button("Look through it", on_click=self._other_imager).props("flat dense no-caps")

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
        self._seen.set_visibility(False)
        self._frame: ui.slider | None = None

    async def show_example(self) -> None:
        """Look at the shipped example."""
        await self._look_at(shipped_example)

    async def _look_at(self, make: Callable[[], CaptureInput], *, quietly: bool = False) -> bool:
        """Look at what `make` gives, or say why not."""
        try:
            capture_input = await in_thread(make)
            await self._session.reconstruct(capture_input)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        self._show(new_captures=True)
        return True

    async def _dropped(self, event: events.MultiUploadEventArguments) -> None:
        self._upload.reset()
        try:
            files = sorted(((safe_name(file.name), file) for file in event.files), key=_natural)
            folder = self._session.folder / f"drop-{self._session.number}"
            are_distinct = len({name for name, _ in files}) == len(files)
            # Files of one name need folders of their own; folders count when files are paired.
            saved = [
                folder / name if are_distinct else folder / str(n) / name
                for n, (name, _) in enumerate(files)
            ]
            for path, (_, file) in zip(saved, files, strict=True):
                await file.save(path)
            imager = self._given_imager(sensors=2)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return

        def read() -> CaptureInput:
            capture_input = from_upload(saved)
            if imager is None:
                return capture_input
            return _through(capture_input, imager)

        await self._look_at(read)

    def _rejected(self) -> None:
        say(
            f"not taken: one or two files are expected, {', '.join(upload_suffixes())}, of at most "
            f"{UPLOAD_BYTES // 2**20} MiB together",
            wrong=True,
        )

    async def _swap_sensors(self) -> None:
        capture_input = self._session.capture_input
        if capture_input is not None and len(capture_input.files) == 2:
            await self._look_at(lambda: _swapped(capture_input))

    async def _other_imager(self) -> None:
        capture_input = self._session.capture_input
        if capture_input is None or capture_input.kind != "files":
            say("this is for files that you drop")
            return
        try:
            imager = self._given_imager(sensors=capture_input.sensors)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        await self._look_at(lambda: _through(capture_input, imager))

    def _given_imager(self, *, sensors: int) -> Imager | None:
        """Return the imager of the fields; None where they say nothing new."""
        reference = Imager.reference()
        given = reference.with_(
            pixel_pitch_um=self._pitch.value,
            gap_um=self._gap.value,
            psf=AngleSelectivePsf(half_angle_deg=self._angle.value),
        )
        return None if given == reference else given.with_(name="from the app", sensors=sensors)

    async def _simulate_now(self) -> None:
        settings = self.sliders.settings()
        if settings is not None:
            await self._look_at(lambda: simulated(settings))

    async def _look_again(self) -> None:
        """Take another frame or another model."""
        session = self._session
        frame = 0 if self._frame is None else int(self._frame.value) - 1
        model = self._model.value
        if session.capture_input is None or (frame, model) == (session.frame, session.model):
            return
        try:
            await session.rerun(frame=frame, model=model)
        except FociscopeError as error:
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
            models = models_for(capture_input.sensors)
            self._model.set_options(models, value=self._session.model)
        self.draw()
        self._changed()

    def _build_series(self, frames: int) -> None:
        self._series.clear()
        self._frame = None
        if frames > 1:
            with self._series:
                self._frame = labelled_slider(
                    "Capture of the series",
                    low=1,
                    high=frames,
                    step=1,
                    value=1,
                    unit=f"of {frames}",
                    on_change=self._again,
                )

    def draw(self) -> None:
        """Draw the captures."""
        result = self._session.result
        if result is None:
            return
        images, pitch = result.captures, result.imager.pixel_pitch_um
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


def _number(label: str, unit: str, value: float, low: float, high: float) -> ui.number:
    made = ui.number(f"{label} ({unit})", value=value, min=low, max=high).props("dense")
    return made.classes("w-full")


def _natural(item: tuple[str, Any]) -> list[Any]:
    """Order names by their numbers, A before B."""
    parts = re.split(r"(\d+)", item[0].casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _through(capture_input: CaptureInput, imager: Imager | None) -> CaptureInput:
    given = None if imager is None else imager.with_(sensors=capture_input.sensors)
    return replace(capture_input, imager=given)


def _swapped(capture_input: CaptureInput) -> CaptureInput:
    return replace(
        capture_input,
        frames=capture_input.frames[:, ::-1].copy(),
        names=capture_input.names[::-1],
        files=capture_input.files[::-1],
    )
