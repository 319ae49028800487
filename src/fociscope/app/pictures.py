"""Cards with one picture each, and what is written above it."""

from __future__ import annotations

from nicegui import ui

from fociscope.app.controls import plot
from fociscope.app.plots import Figure

__all__ = ["Picture", "Pictures"]

CARDS = "w-full grid grid-cols-1 sm:grid-cols-2 xl:grid-cols-4 gap-3"
HEIGHT = "235px"
#: Title, remark, picture.
Picture = tuple[str, str, Figure]


class Pictures:
    """Cards with one picture each, made anew only where their number changes."""

    def __init__(self, classes: str = CARDS) -> None:
        """Begin without any."""
        self._grid = ui.element("div").classes(classes)
        self._cards: list[tuple[ui.label, ui.label, ui.plotly]] = []

    def show(self, pictures: list[Picture]) -> None:
        """Show these."""
        if len(pictures) != len(self._cards):
            self._grid.clear()
            with self._grid:
                self._cards = [self._card(*picture) for picture in pictures]
            return
        for (title, remark, drawn), picture in zip(self._cards, pictures, strict=True):
            title.set_text(picture[0])
            remark.set_text(picture[1])
            drawn.props(f'aria-label="{picture[0]}, {picture[1]}"')
            drawn.update_figure(picture[2])

    @staticmethod
    def _card(title: str, remark: str, figure: Figure) -> tuple[ui.label, ui.label, ui.plotly]:
        with ui.card().props("flat bordered").classes("w-full gap-0 p-2 min-w-0"):
            head = ui.label(title).classes("text-sm font-medium")
            said = ui.label(remark).classes("text-xs opacity-70")
            return head, said, plot(figure, f"{title}, {remark}", HEIGHT)
