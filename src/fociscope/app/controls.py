"""Controls that are alike everywhere: labelled sliders, titled cards, plots, messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

__all__ = ["card", "labelled_slider", "plot", "say", "section"]


def labelled_slider(
    label: str,
    *,
    low: float,
    high: float,
    step: float,
    value: float,
    unit: str = "",
    shown: Callable[[float], str] = "{:g}".format,
    on_change: Callable[[], Any],
) -> ui.slider:
    """Return a slider with its label above it to the left, its value and unit to the right.

    It moves with the arrow keys, and says its name to a screen reader.
    """

    def in_words(value: float) -> str:
        return f"{shown(value)} {unit}".strip()

    with ui.column().classes("w-full gap-0"):
        with ui.row().classes("w-full justify-between text-xs leading-4"):
            ui.label(label).classes("opacity-70")
            said = ui.label(in_words(value)).classes("font-medium tabular-nums")
        slider = ui.slider(min=low, max=high, step=step, value=value, on_change=on_change)
        slider.props(f'dense aria-label="{label}"').classes("h-6")
        said.bind_text_from(slider, "value", in_words)
    return slider


def card(title: str = "", *, hint: str = "") -> ui.card:
    """Return a quiet card with a small title."""
    with ui.card().props("flat bordered").classes("w-full gap-1 p-3") as made:
        if title:
            with ui.row().classes("w-full items-baseline gap-2"):
                ui.label(title).classes("text-sm font-medium").props('role="heading" aria-level=2')
                if hint:
                    ui.label(hint).classes("text-xs opacity-60")
    return made


def section(title: str) -> None:
    """Write a small heading."""
    ui.label(title).classes("text-xs uppercase tracking-wide opacity-60").props(
        'role="heading" aria-level=3'
    )


def plot(figure: dict[str, Any], label: str, height: str) -> ui.plotly:
    """Return a picture that a screen reader can name."""
    drawn = ui.plotly(figure).classes("w-full").style(f"height: {height}")
    return drawn.props(f'role="img" aria-label="{label}"')


def say(message: str, *, wrong: bool = False) -> None:
    """Show a message for some seconds."""
    ui.notify(
        message,
        type="negative" if wrong else "info",
        position="top",
        multi_line=len(message) > 80,
        timeout=9000 if wrong else 4000,
        close_button="Close" if wrong else False,
    )
