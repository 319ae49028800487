"""Map: the stack in space, the depth map, and below them layers, foci, self-check and truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
from nicegui import events, ui

from fociscope.app.controls import card, labelled_slider, plot
from fociscope.app.pictures import Picture, Pictures
from fociscope.app.plots import (
    DEPTH_SCALE,
    DIFFERENCE_SCALE,
    LIGHT_SCALE,
    PROBABILITY_SCALE,
    UNCERTAINTY_SCALE,
    Figure,
    Shown,
    Theme,
    image,
)
from fociscope.app.series_panel import SeriesPanel
from fociscope.app.session import Session
from fociscope.app.side import side_view
from fociscope.app.stack import Layers, stack
from fociscope.app.truth_panel import TruthCards
from fociscope.results.foci import LEAST_COUNTED

__all__ = ["Details", "FociTableCard", "LayerCards", "MapPanel", "SelfCheck"]

COLOUR_BY = {"depth": "depth", "probability": "probability", "light": "light"}


class Details(Protocol):
    """Something that can be drawn again."""

    def draw(self) -> None:
        """Draw what the visit holds now."""


class MapPanel:
    """What a capture shows."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Build it, empty."""
        self._session, self._theme = session, theme
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
                            value=self._session.threshold,
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
                names = ("Layers", "Foci", "Series", "Self-check", "Truth")
                self._tabs = {name: ui.tab(name) for name in names}
            with ui.tab_panels(tabs, value="Layers", animated=False, keep_alive=True) as panels:
                panels.classes("w-full bg-transparent")
                with ui.tab_panel("Layers").classes("p-0"):
                    self._layers = LayerCards(self._session, self._theme)
                with ui.tab_panel("Foci").classes("p-0"):
                    self._foci = FociTableCard(self._session, pointed=self._pointed)
                with ui.tab_panel("Series").classes("p-0"):
                    self._over_frames = SeriesPanel(self._session, self._theme)
                with ui.tab_panel("Self-check").classes("p-0"):
                    self._check = SelfCheck(self._session, self._theme)
                with ui.tab_panel("Truth").classes("p-0"):
                    self._truth = TruthCards(self._session, self._theme)
            self._panels = panels
            panels.on_value_change(self._draw_details)
        self._built = True

    def draw(self) -> None:
        """Draw a new map."""
        if self._session.result is None:
            return
        self._say()
        if not self._built:
            self._build()
        else:
            self._draw_space()
            self._draw_flat()
        self._offer_series()
        self._foci.draw()
        self._draw_details()

    def _offer_series(self) -> None:
        """Show the tab of a series only where there is one."""
        capture_input = self._session.capture_input
        is_series = capture_input is not None and len(capture_input.frames) > 1
        self._tabs["Series"].set_visibility(is_series)
        if not is_series and self._panels.value == "Series":
            self._panels.set_value("Layers")

    def _say(self) -> None:
        """Say in words how far the map is to be trusted, and what it holds."""
        session = self._session
        result = session.result
        assert result is not None
        doubts = [] if result.quality_flags is None else [str(result.quality_flags)]
        doubts = [d for d in doubts if d]
        text = f"Do not trust this map: {'; '.join(doubts)}." if doubts else ""
        if result.warnings:
            text += "".join(f" {warning.rstrip('.')}." for warning in result.warnings)
        self._words.set_text(text.strip())
        self._warning.set_visibility(bool(text))
        present = int(result.present.sum())
        scores = session.scores
        truth = "" if scores is None else f" · against the truth: {scores.in_words}"
        likely = sum(focus.probability >= LEAST_COUNTED for focus in session.foci)
        self._figures.set_text(
            f"{present} layer(s), {likely} foci · self-check residual {result.self_check}{truth}"
        )
        self._figures.props(f'data-result="{session.number}"')

    def _space(self) -> Figure:
        session = self._session
        result = session.result
        assert result is not None
        focus = session.pointed_at
        return stack(
            Layers(
                mask=session.mask,
                depth_um=session.depth_um,
                depth_std_um=result.depth_std_um,
                probability=result.probability,
                light=result.intensity,
                focus=session.focus_pixels,
            ),
            pixel_pitch_um=result.imager.square_pitch_um,
            gap_um=result.imager.gap_um,
            sensors=len(result.captures),
            colour_by=self._colour.value if self._built else "depth",
            theme=self._theme(),
            marked=None if focus is None else (focus.x_um, focus.y_um, focus.depth_um),
        )

    def _from_above(self) -> Figure:
        session = self._session
        result = session.result
        assert result is not None
        depth = np.where(session.mask, session.depth_um[:, None, None], np.nan)
        nearest = np.fmin.reduce(depth, axis=0)
        focus = session.pointed_at
        return image(
            nearest,
            result.imager.square_pitch_um,
            Shown(DEPTH_SCALE, 0.0, result.imager.gap_um, "depth (µm)", digits=".0f"),
            self._theme(),
            marked=None if focus is None else (focus.x_um, focus.y_um),
        )

    def _from_side(self) -> Figure:
        session = self._session
        result = session.result
        assert result is not None
        return side_view(
            session.mask,
            session.depth_um,
            result.depth_std_um,
            pixel_pitch_um=result.imager.square_pitch_um,
            gap_um=result.imager.gap_um,
            theme=self._theme(),
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
            "Series": self._over_frames,
            "Self-check": self._check,
            "Truth": self._truth,
        }
        details = shown.get(self._panels.value)
        if details is not None:
            details.draw()

    def _other_threshold(self) -> None:
        self._session.threshold = float(self._threshold.value)
        self._say()
        self._draw_space()
        self._draw_flat()
        self._draw_details()

    def _pointed(self) -> None:
        self._draw_space()
        self._above.update_figure(self._from_above())


class LayerCards:
    """Each layer: probability, its uncertainty, restored light, or cells by depth."""

    WHAT: ClassVar = {
        "probability": "Probability",
        "uncertainty": "Uncertainty",
        "light": "Restored light",
        "cells": "Cells",
    }

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Build the choice."""
        self._session, self._theme = session, theme
        with ui.row().classes("w-full items-center gap-3 py-1"):
            self._what = ui.toggle(self.WHAT, value="probability", on_change=self.draw)
            self._what.props('dense no-caps unelevated size=sm aria-label="What each layer shows"')
            ui.label("white line: the threshold").classes("text-xs opacity-60")
        self._pictures = Pictures()

    def draw(self) -> None:
        """Draw the layers."""
        result = self._session.result
        assert result is not None
        self._pictures.show([self._picture(n) for n in range(len(result.depth_um))])

    def _picture(self, layer: int) -> Picture:
        session, what = self._session, self._what.value
        result = session.result
        assert result is not None
        present = bool(result.present[layer])
        depth = f"{result.depth_um[layer]:.0f} ± {result.depth_std_um[layer]:.0f} µm"
        title = f"Layer {layer + 1}: {depth}" if present else f"Layer {layer + 1}: absent"
        probability, mask = result.probability[layer], session.mask[layer]
        remark = (
            f"there with {100 * result.presence[layer]:.0f} %, cells on {100 * mask.mean():.1f} %"
        )
        contour: float | None = session.threshold if present else None
        values: Any
        if what == "uncertainty":
            # Standard deviation of "cells or not", given the probability.
            values = np.sqrt(probability * (1 - probability))
            shown = Shown(UNCERTAINTY_SCALE, 0.0, 0.5, "std of cells/none", digits=".2f")
            contour = None
        elif what == "light":
            values = result.intensity[layer]
            high = float(result.intensity.max()) or 1.0
            shown = Shown(LIGHT_SCALE, 0.0, high, "light onto A", digits=".3g")
            contour = None
        elif what == "cells":
            values = np.where(mask, result.depth_um[layer], np.nan)
            shown = Shown(DEPTH_SCALE, 0.0, result.imager.gap_um, "depth (µm)", digits=".0f")
            contour = None
        else:
            values = probability
            shown = Shown(PROBABILITY_SCALE, 0.0, 1.0, "P(cells)", digits=".2f")
        pitch = result.imager.square_pitch_um
        return title, remark, image(values, pitch, shown, self._theme(), contour_at=contour)


class FociTableCard:
    """The foci; a row that is chosen is pointed at in the map."""

    COLUMNS = (
        ("layer", "Layer", "d"),
        ("depth", "Depth (µm)", ".0f"),
        ("std", "± (µm)", ".0f"),
        ("x", "x (µm)", ".0f"),
        ("y", "y (µm)", ".0f"),
        ("area", "Area (mm²)", ".4f"),
        ("brightness", "Light", ".3g"),
        ("cells", "Cells (est.)", ".1f"),
        ("confidence", "Confidence", ".2f"),
        ("probability", "Probability", ".2f"),
    )

    def __init__(self, session: Session, *, pointed: Callable[[], None]) -> None:
        """Build an empty table; `pointed` is called when another focus is pointed at."""
        self._session, self._pointed = session, pointed
        ui.label(
            "Foci are connected pixels of more than 0.5; the probability is that of a true focus "
            "there. Choose a row to see where it lies; a heading sorts."
        ).classes("text-xs opacity-60 py-1")
        columns = [
            {
                "name": name,
                "label": label,
                "field": name,
                "sortable": True,
                "align": "right",
                ":format": _formatter(form),
            }
            for name, label, form in self.COLUMNS
        ]
        self._table = ui.table(
            columns=columns,
            rows=[],
            row_key="key",
            selection="single",
            pagination={"rowsPerPage": 12, "sortBy": "probability", "descending": True},
            on_select=self._selected,
        )
        self._table.props('dense flat bordered aria-label="Foci"').classes("w-full")
        self._table.on("rowClick", self._clicked, args=[[], ["key"], None])

    def draw(self) -> None:
        """Fill in the foci of a new map."""
        self._table.selected = []
        self._table.rows = [
            {
                "key": key,
                "layer": focus.layer + 1,
                "depth": focus.depth_um,
                "std": focus.depth_std_um,
                "x": focus.x_um,
                "y": focus.y_um,
                "area": focus.area_um2 / 1e6,
                "brightness": focus.brightness,
                "cells": focus.cells,
                "confidence": focus.confidence,
                "probability": focus.probability,
            }
            for key, focus in enumerate(self._session.foci)
        ]
        self._table.update()

    def _clicked(self, event: events.GenericEventArguments) -> None:
        row = event.args[1]
        rows = [r for r in self._table.rows if r["key"] == row.get("key")]
        self._table.selected = rows
        self._point(rows)

    def _selected(self, event: events.TableSelectionEventArguments) -> None:
        self._point(event.selection)

    def _point(self, rows: list[dict[str, Any]]) -> None:
        key = rows[0]["key"] if rows else None
        foci = self._session.foci
        known = isinstance(key, int) and 0 <= key < len(foci)
        self._session.pointed_at = foci[key] if known and key is not None else None
        self._pointed()


class SelfCheck:
    """The capture beside its re-projection and what remains."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Begin."""
        self._session, self._theme = session, theme
        ui.label(
            "What the imager would see of this map, beside what it saw. What remains should look "
            "like noise; structure in it means that the map does not explain the capture."
        ).classes("text-xs opacity-60 py-1")
        self._pictures = Pictures("w-full grid grid-cols-1 sm:grid-cols-3 gap-3")

    def draw(self) -> None:
        """Draw three pictures of each sensor."""
        result = self._session.result
        assert result is not None
        pictures = []
        for sensor, (seen, again, residual) in enumerate(
            zip(result.captures, result.reprojection, result.residual, strict=True)
        ):
            name = f"Sensor {'AB'[sensor]}"
            light = Shown(LIGHT_SCALE, 0.0, float(seen.max()), "light", digits=".4g")
            left = seen - again
            most = float(np.abs(left).max()) or 1.0
            differs = Shown(DIFFERENCE_SCALE, -most, most, "difference", digits=".3g")
            for title, remark, values, shown in (
                (f"{name}: capture", "as it came in", seen, light),
                (f"{name}: re-projection", "of the map, at the best gain", again, light),
                (f"{name}: residual", f"{100 * residual:.1f} % of the capture", left, differs),
            ):
                pitch = result.imager.square_pitch_um
                pictures.append((title, remark, image(values, pitch, shown, self._theme())))
        self._pictures.show(pictures)


def _formatter(form: str) -> str:
    """Return the JavaScript that writes a number as Python would."""
    if form == "d":
        return "value => value"
    if form.endswith("g"):
        return f"value => Number(value).toPrecision({form[1:-1]})"
    return f"value => Number(value).toFixed({form[1:-1]})"
