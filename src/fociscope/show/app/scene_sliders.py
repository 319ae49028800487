"""The sliders of a simulated scene."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from nicegui import ui

from fociscope.errors import SceneError
from fociscope.show.app.controls import labelled_slider, say, section
from fociscope.show.app.scene import MOST_LAYERS, SceneSettings

__all__ = ["SceneSliders"]


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
