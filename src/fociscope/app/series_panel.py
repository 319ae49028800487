"""Series: depth, coverage and foci over the frames, and a button that reconstructs all of them."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from fociscope.app.controls import plot, say
from fociscope.app.plots import Theme
from fociscope.app.session import Session
from fociscope.app.traces import TRACES, trace
from fociscope.errors import FociscopeError

__all__ = ["SeriesPanel"]

TITLES = {
    "depth": "Depth of each layer",
    "coverage": "Coverage of each layer",
    "foci": "Foci in each layer",
}


class SeriesPanel:
    """What a series shows over its frames; frames that were looked at are drawn at once."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Build it, empty."""
        self._session, self._theme = session, theme
        self._plots: dict[str, ui.plotly] = {}
        with ui.row().classes("w-full items-center gap-3 py-1"):
            self._all = ui.button("Reconstruct all", icon="timeline", on_click=self._fill)
            self._all.props("no-caps unelevated dense").classes("px-3")
            self._progress = ui.linear_progress(0, show_value=False, size="6px")
            self._progress.classes("w-48").props('aria-label="Progress"')
            self._progress.set_visibility(False)
            self._words = ui.label("").classes("text-xs opacity-70").props('aria-live="polite"')
        self._grid = ui.element("div").classes("w-full grid grid-cols-1 xl:grid-cols-3 gap-3")

    def draw(self) -> None:
        """Draw the frames that are reconstructed."""
        session = self._session
        capture_input = session.capture_input
        if capture_input is None:
            return
        total, done = len(capture_input.frames), len(session.traces)
        self._all.set_visibility(done < total)
        hint = "" if done == total else "; the others when you look at them, or all at once"
        self._words.set_text(f"{done} of {total} frame(s) reconstructed{hint}")
        for what, title in TITLES.items():
            figure = trace(
                what,
                session.traces,
                theme=self._theme(),
                shown=session.frame,
                time_s=capture_input.time_s,
                names=capture_input.frame_names,
            )
            if what in self._plots:
                self._plots[what].update_figure(figure)
                continue
            with self._grid, ui.card().props("flat bordered").classes("w-full gap-0 p-2 min-w-0"):
                ui.label(title).classes("text-sm font-medium")
                self._plots[what] = plot(figure, f"{title}, {TRACES[what]}", "250px")

    async def _fill(self) -> None:
        """Reconstruct the frames that nobody has looked at."""
        self._all.disable()
        self._progress.set_visibility(True)
        try:
            async for done, total in self._session.trace_all():
                self._progress.set_value(done / total)
                self.draw()
        except FociscopeError as error:
            say(str(error), wrong=True)
        finally:
            self._all.enable()
            self._progress.set_visibility(False)
