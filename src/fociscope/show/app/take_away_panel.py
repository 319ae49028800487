"""Take away: everything as one archive, the figure, the command line."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from fociscope.errors import FociscopeError
from fociscope.show.app.controls import card, say
from fociscope.show.app.take_away import archive, command_line, figure
from fociscope.show.app.visit import Visit, in_thread

__all__ = ["TakeAwayPanel"]


class TakeAwayPanel:
    """What can be kept."""

    def __init__(self, visit: Visit) -> None:
        """Build it."""
        self._visit = visit
        self._done = (0, 1)
        with ui.column().classes("w-full gap-3 pt-2 max-w-3xl"):
            with card("All files"):
                ui.label(
                    "What `fociscope reconstruct` writes, of every capture of a series: "
                    "probability, intensity and depth maps as OME-TIFF, a .mat of the published "
                    "layout, the summary with all figures, the picture, and the command."
                ).classes("text-sm opacity-80")
                with ui.row().classes("items-center gap-3 w-full"):
                    self._zip = ui.button("Archive (ZIP)", icon="folder_zip", on_click=self._pack)
                    self._zip.props("no-caps unelevated")
                    self._progress = ui.linear_progress(0, show_value=False, size="6px")
                    self._progress.classes("w-48").props('aria-label="Progress"')
                    self._progress.set_visibility(False)
            with card("Figure"):
                ui.label(
                    "Captures, the map from above and from the side, and every layer, as one "
                    "picture; with the truth beside it where it is known."
                ).classes("text-sm opacity-80")
                with ui.row().classes("items-center gap-2"):
                    for suffix in ("png", "svg"):
                        button = ui.button(
                            suffix.upper(), icon="image", on_click=partial(self._draw, suffix)
                        )
                        button.props(f'no-caps outline aria-label="Figure as {suffix.upper()}"')
                    self._beside = ui.switch("beside the truth").props("dense")
            with card("The same from the command line"):
                self._command = ui.code("", language="bash").classes("w-full text-sm")
                self._note = ui.label("").classes("text-xs opacity-60")
        self._timer = ui.timer(0.2, self._show_progress, active=False)

    def draw(self) -> None:
        """Write the command for a new map."""
        visit = self._visit
        if visit.captured is None:
            return
        self._command.set_content(
            command_line(visit.captured, model=visit.model, layers=visit.layers)
        )
        known = visit.captured.truth(visit.frame) is not None
        self._beside.set_visibility(known)
        inputs = {
            "files": "Run it where your files lie"
            + ("" if visit.captured.imager is None else ", with imager.toml from the archive"),
            "example": "The captures are in the archive",
            "simulated": "The captures and the imager are in the archive",
        }
        self._note.set_text(f"{inputs[visit.captured.kind]}.")

    async def _pack(self) -> None:
        visit = self._visit
        captured = visit.captured
        if captured is None:
            return
        self._done = (0, 1)
        self._zip.disable()
        self._progress.set_visibility(True)
        self._timer.activate()
        try:
            packed = await in_thread(
                archive,
                captured,
                model=visit.model,
                layers=visit.layers,
                device=visit.device,
                progress=self._note_progress,
            )
            path = visit.folder / "fociscope-map.zip"
            await in_thread(path.write_bytes, packed)
            ui.download.file(path, "fociscope-map.zip")
        except FociscopeError as error:
            say(str(error), wrong=True)
        finally:
            self._timer.deactivate()
            self._progress.set_visibility(False)
            self._zip.enable()

    def _note_progress(self, done: int, total: int) -> None:
        """Note from the working thread; the page's own timer shows it."""
        self._done = done, total

    def _show_progress(self) -> None:
        done, total = self._done
        self._progress.set_value(done / max(total, 1))

    async def _draw(self, suffix: str) -> None:
        visit = self._visit
        if visit.captured is None or visit.result is None:
            return
        try:
            drawn = await in_thread(
                figure,
                visit.result,
                visit.captured,
                visit.frame,
                suffix,
                with_truth=bool(self._beside.value),
            )
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        types = {"png": "image/png", "svg": "image/svg+xml"}
        ui.download.content(drawn, f"fociscope-map.{suffix}", types[suffix])
