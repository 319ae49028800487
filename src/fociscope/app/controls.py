"""Controls that are alike everywhere: labelled sliders, titled cards, plots, messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nicegui import events, ui

from fociscope.app.capture_input import UPLOAD_BYTES
from fociscope.app.uploads import save_files
from fociscope.errors import FociscopeError

__all__ = ["FileField", "card", "labelled_slider", "plot", "say", "section", "upload"]


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


def upload(
    *,
    suffixes: tuple[str, ...],
    most: int,
    sent: Callable[[events.MultiUploadEventArguments], Any],
    rejected: Callable[[], Any],
    label: str = "",
) -> ui.upload:
    """Return a place for a few files, all of which arrive.

    The browser names each part of what it sends after its file unless told otherwise, and of two
    parts of one name NiceGUI hands over the last alone: sensor B in place of A and B. So every
    part has a name of its own here.

    Args:
        suffixes: of files that are taken.
        most: files at a time.
        sent: is called with all files that were sent together.
        rejected: is called where one is not taken.
        label: what is to be sent, shown in it.
    """
    # FastAPI's caches keep the route of every upload, and with it the page of a visitor who left;
    # see findings/fastapi_caches_keep_removed_routes.sh.
    handlers: dict[str, Callable[..., Any]] = {"sent": sent, "rejected": rejected}

    def leave() -> None:
        handlers.clear()
        _clear_caches_of_routes()

    ui.context.client.on_delete(leave)
    place = ui.upload(
        label=label,
        multiple=True,
        auto_upload=True,
        max_files=most,
        max_total_size=UPLOAD_BYTES,
        on_multi_upload=lambda event: handlers["sent"](event),
        on_rejected=lambda: handlers["rejected"](),
    )
    return place.props(f'accept="{",".join(suffixes)}" :field-name="() => String(Math.random())"')


def _clear_caches_of_routes() -> None:
    """Have FastAPI forget which kind of function each route has; it finds out again."""
    from fastapi.dependencies import models

    for cached in list(vars(models).values()):
        clear = getattr(cached, "cache_clear", None)
        if callable(clear):
            clear()


class FileField:
    """A row for one file, or a few that belong together: what was sent, a button, another to clear.

    Its name is shown only once the file is accepted.
    """

    def __init__(
        self,
        label: str,
        hint: str,
        *,
        suffixes: tuple[str, ...],
        most: int,
        folder: Callable[[], Path],
        taken: Callable[[list[Path]], Awaitable[bool]],
        cleared: Callable[[], Awaitable[bool]],
    ) -> None:
        """Build it, empty.

        Args:
            label: of the field.
            hint: what the file is for.
            suffixes: of files that are accepted.
            most: files at a time.
            folder: returns a new folder for files.
            taken: is called with the files that were sent; returns whether they are accepted.
            cleared: is called when they are given up; returns whether that is possible.
        """
        self._label, self._suffixes, self._folder = label, suffixes, folder
        self._taken, self._cleared = taken, cleared
        self._upload = upload(
            suffixes=suffixes,
            most=most,
            sent=self._sent,
            rejected=lambda: say(
                f"{label}: not taken; expected 1 to {most} file(s), {', '.join(suffixes)}",
                wrong=True,
            ),
        ).classes("hidden")
        with ui.row().classes("w-full items-center no-wrap gap-1"):
            with ui.column().classes("gap-0 grow min-w-0"):
                ui.label(label).classes("text-sm leading-5")
                self._names = ui.label("none").classes("text-xs opacity-70 break-all")
            self._clear = ui.button(icon="close", on_click=self.clear)
            self._clear.props(f'flat round dense size=sm aria-label="Without {label}"')
            self._clear.set_visibility(False)
            button = ui.button(icon="upload_file").props("flat round dense")
            button.props(f'aria-label="{label}: choose files"').tooltip(f"{label}: {hint}")
            # In the browser, which opens its dialogue only in answer to a click.
            button.on(
                "click", js_handler=f"() => getElement({self._upload.id}).$refs.qRef.pickFiles()"
            )

    async def _sent(self, event: events.MultiUploadEventArguments) -> None:
        self._upload.reset()
        try:
            paths = await save_files(event.files, self._folder(), self._suffixes)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        if await self._taken(paths):
            self.show(paths)

    def show(self, paths: list[Path]) -> None:
        """Show the names of files that hold from now on."""
        self._names.set_text(" + ".join(path.name for path in paths) or "none")
        self._clear.set_visibility(bool(paths))

    async def clear(self) -> None:
        """Give up the files."""
        if await self._cleared():
            self.show([])
