"""Map: the stack in space, the depth map, and below them layers, foci, self-check and truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nicegui import ui

from fociscope.show.app.controls import card, labelled_slider, plot
from fociscope.show.app.map_details import Details, FociTable, LayerCards, SelfCheck, TruthCards
from fociscope.show.app.plots import DEPTH_SCALE, Figure, Look, Shown, image
from fociscope.show.app.side import side_view
from fociscope.show.app.stack import Layers, stack
from fociscope.show.app.visit import Visit

__all__ = ["MapPanel"]

COLOUR_BY = {"depth": "depth", "probability": "probability", "light": "light"}


class MapPanel:
    """What a capture shows."""

    def __init__(self, visit: Visit, look: Callable[[], Look]) -> None:
        """Build it, empty."""
        self._visit, self._look = visit, look
        self._built = False
        with ui.column().classes("w-full gap-3"):
            self._warning = ui.row().classes(
                "w-full items-start no-wrap gap-2 rounded p-3 bg-amber-100 text-amber-950"
            )
            self._warning.props('role="alert"')
            with self._warning:
                ui.icon("warning", size="20px")
                self._words = ui.label("").classes("text-sm")
            self._warning.set_visibility(False)
            self._figures = ui.label("").classes("text-xs opacity-80").props('aria-live="polite"')
            self._stage = ui.element("div").classes(
                "w-full grid grid-cols-1 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)] gap-3"
            )
            self._more = ui.column().classes("w-full gap-2")

    def _build(self) -> None:
        with self._stage:
            with card("Layers in space", hint="drag to turn, scroll to zoom"):
                self._stack = plot(self._space(), "Layers in space", "min(58vh, 470px, 62vw)")
                with ui.row().classes("w-full items-center gap-x-6 gap-y-1"):
                    with ui.column().classes("flex-1 min-w-[180px]"):
                        self._threshold = labelled_slider(
                            "Cells where the probability exceeds",
                            low=0.05,
                            high=0.95,
                            step=0.01,
                            value=self._visit.threshold,
                            shown="{:.2f}".format,
                            on_change=self._other_threshold,
                        )
                    self._colour = ui.toggle(COLOUR_BY, value="depth", on_change=self._draw_space)
                    self._colour.props('dense no-caps unelevated size=sm aria-label="Colour by"')
            with ui.column().classes("w-full gap-3 min-w-0"):
                with card("Depth map", hint="from above: the cells nearest to A"):
                    self._above = plot(self._from_above(), "Depth map from above", "300px")
                with card("From the side", hint="band: one standard deviation"):
                    self._side = plot(self._from_side(), "Layers from the side", "190px")
        with self._more:
            with ui.tabs().props("dense no-caps align=left") as tabs:
                for name in ("Layers", "Foci", "Self-check", "Truth"):
                    ui.tab(name)
            with ui.tab_panels(tabs, value="Layers", animated=False, keep_alive=True) as panels:
                panels.classes("w-full bg-transparent")
                with ui.tab_panel("Layers").classes("p-0"):
                    self._layers = LayerCards(self._visit, self._look)
                with ui.tab_panel("Foci").classes("p-0"):
                    self._foci = FociTable(self._visit, pointed=self._pointed)
                with ui.tab_panel("Self-check").classes("p-0"):
                    self._check = SelfCheck(self._visit, self._look)
                with ui.tab_panel("Truth").classes("p-0"):
                    self._truth = TruthCards(self._visit, self._look)
            self._panels = panels
            panels.on_value_change(self._draw_details)
        self._built = True

    def draw(self) -> None:
        """Draw a new map."""
        if self._visit.result is None:
            return
        self._say()
        if not self._built:
            self._build()
        else:
            self._draw_space()
            self._draw_flat()
        self._foci.draw()
        self._draw_details()

    def _say(self) -> None:
        """Say in words how far the map is to be trusted, and what it holds."""
        visit = self._visit
        result = visit.result
        assert result is not None
        doubts = [] if result.suspicion is None else [str(result.suspicion)]
        doubts = [d for d in doubts if d]
        text = f"Do not trust this map: {'; '.join(doubts)}." if doubts else ""
        if result.warnings:
            text += f" {'; '.join(result.warnings)}; expect worse maps and depths."
        self._words.set_text(text.strip())
        self._warning.set_visibility(bool(text))
        present = int(result.present.sum())
        scores = visit.scores
        truth = "" if scores is None else f" · against the truth: {scores.in_words}"
        self._figures.set_text(
            f"{present} layer(s), {len(visit.foci)} foci · self-check residual "
            f"{result.self_check}{truth}"
        )
        self._figures.props(f'data-result="{visit.number}"')

    def _space(self) -> Figure:
        visit = self._visit
        result = visit.result
        assert result is not None
        focus = visit.pointed_at
        return stack(
            Layers(
                mask=visit.mask,
                depth_um=visit.depth_um,
                depth_std_um=result.depth_std_um,
                probability=result.probability,
                light=result.intensity,
                focus=visit.focus_pixels,
            ),
            pixel_pitch_um=result.imager.pixel_pitch_um,
            gap_um=result.imager.gap_um,
            sensors=len(result.captures),
            colour_by=self._colour.value if self._built else "depth",
            look=self._look(),
            marked=None if focus is None else (focus.x_um, focus.y_um, focus.depth_um),
        )

    def _from_above(self) -> Figure:
        visit = self._visit
        result = visit.result
        assert result is not None
        depth = np.where(visit.mask, visit.depth_um[:, None, None], np.nan)
        nearest = np.fmin.reduce(depth, axis=0)
        focus = visit.pointed_at
        return image(
            nearest,
            result.imager.pixel_pitch_um,
            Shown(DEPTH_SCALE, 0.0, result.imager.gap_um, "depth (µm)", digits=".0f"),
            self._look(),
            marked=None if focus is None else (focus.x_um, focus.y_um),
        )

    def _from_side(self) -> Figure:
        visit = self._visit
        result = visit.result
        assert result is not None
        return side_view(
            visit.mask,
            visit.depth_um,
            result.depth_std_um,
            pixel_pitch_um=result.imager.pixel_pitch_um,
            gap_um=result.imager.gap_um,
            look=self._look(),
        )

    def _draw_space(self) -> None:
        self._stack.update_figure(self._space())

    def _draw_flat(self) -> None:
        self._above.update_figure(self._from_above())
        self._side.update_figure(self._from_side())

    def _draw_details(self) -> None:
        """Draw only the details that are looked at."""
        shown: dict[str, Details] = {
            "Layers": self._layers,
            "Self-check": self._check,
            "Truth": self._truth,
        }
        details = shown.get(self._panels.value)
        if details is not None:
            details.draw()

    def _other_threshold(self) -> None:
        self._visit.threshold = float(self._threshold.value)
        self._say()
        self._draw_space()
        self._draw_flat()
        self._draw_details()

    def _pointed(self) -> None:
        self._draw_space()
        self._above.update_figure(self._from_above())
