"""Design: sliders for a chip, what it would get, and the front of all that was tried."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from fociscope.app.controls import card, labelled_slider, plot, say
from fociscope.app.design_study import RANGES, TriedDesigns, front_figure, table_rows
from fociscope.app.jobs import LatestOnly
from fociscope.app.plots import Theme
from fociscope.app.session import Session
from fociscope.design import ImagerDesign
from fociscope.errors import FociscopeError
from fociscope.figures.design import QUALITY_LABELS

__all__ = ["DesignPanel"]

#: Designs that the button adds.
EXPLORED = 16


class DesignPanel:
    """A chip by sliders, scored at once."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Build it; the first design is scored when the visitor asks for one."""
        self._session, self._theme = session, theme
        self._tried = TriedDesigns()
        self._update = LatestOnly(self._score)
        own = ImagerDesign.of(self._tried.base).numbers()
        with ui.column().classes("w-full gap-3 pt-2"):
            ui.label(
                "What would a chip of other pixels, grating, gap or exposure get? Simulated tissue "
                "of four layers, scored by the shipped networks where the design lies within their "
                "training, and by bounds that need none."
            ).classes("text-xs opacity-70 max-w-3xl")
            with ui.element("div").classes("w-full grid grid-cols-1 md:grid-cols-2 gap-3"):
                with card("Design"):
                    self._sliders = {
                        name: labelled_slider(
                            label, low=low, high=high, step=step, value=own[name], unit=unit,
                            on_change=self._update,
                        )
                        for name, (low, high, step, unit, label) in RANGES.items()
                    }  # fmt: skip
                    self._sensors = ui.toggle(
                        {1: "One sensor", 2: "Two sensors"}, value=2, on_change=self._update
                    ).props("dense no-caps unelevated")
                    self._buttons()
                with card("What it gets", hint="standard errors over scenes"):
                    self._refused = ui.label("").classes("text-xs text-amber-700")
                    self._rows = ui.column().classes("w-full gap-0")
            with card("Front", hint="filled: nothing tried is better at the same cost or less"):
                labels = {
                    n: label
                    for n, label in QUALITY_LABELS.items()
                    if n not in ("depth_bound_um", "information_bits")
                }
                self._quality = ui.select(labels, value="depth_error_um", on_change=self.draw)
                self._quality.props('dense outlined aria-label="Quality"')
                empty = front_figure(self._tried.study, "depth_error_um", self._theme())
                self._front = plot(empty, "Front of the designs tried", "320px")

    def _buttons(self) -> None:
        with ui.row().classes("w-full items-center gap-2 pt-1"):
            score = ui.button("Score", icon="speed", on_click=self._update)
            score.props("no-caps unelevated dense").classes("px-3")
            self._explore = ui.button(
                f"Try {EXPLORED} others", icon="scatter_plot", on_click=self._try_others
            )
            self._explore.props("no-caps flat dense")
            self._doing = ui.label("").classes("text-xs opacity-70").props('aria-live="polite"')

    def chosen(self) -> ImagerDesign:
        """Return the design that the sliders hold."""
        numbers = {name: float(slider.value) for name, slider in self._sliders.items()}
        return self._tried.design(numbers, int(self._sensors.value or 2))

    async def _score(self) -> None:
        self._doing.set_text("Scoring ...")
        try:
            await self._session.jobs.quick(self._tried.score, self.chosen())
        except FociscopeError as error:
            say(str(error), wrong=True)
        self._doing.set_text("")
        self.draw()

    async def _try_others(self) -> None:
        """Score designs all over the space, one after the other, beside what else is asked for."""
        self._explore.disable()
        try:
            for n, design in enumerate(self._tried.space.points()[:EXPLORED]):
                self._doing.set_text(f"{n + 1} of {EXPLORED} ...")
                await self._session.jobs.long(self._tried.score, design)
                self.draw()
        except FociscopeError as error:
            say(str(error), wrong=True)
        finally:
            self._doing.set_text("")
            self._explore.enable()

    def draw(self) -> None:
        """Draw the front, and the scores of the design that the sliders hold."""
        design = self.chosen()
        scores = self._tried.scores.get(design)
        if scores is not None:
            self._refused.set_text("" if scores.refused is None else f"No map: {scores.refused}.")
            self._rows.clear()
            with self._rows:
                for label, value in table_rows(scores):
                    with ui.row().classes("w-full justify-between text-xs leading-5"):
                        ui.label(label).classes("opacity-70")
                        ui.label(value).classes("font-medium tabular-nums")
        quality = str(self._quality.value)
        figure = front_figure(self._tried.study, quality, self._theme(), shown=design)
        self._front.update_figure(figure)
