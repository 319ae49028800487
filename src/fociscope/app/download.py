"""Download: all files of a map as one archive, its figure, and the command that makes them."""

from __future__ import annotations

import shlex
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from nicegui import ui

from fociscope.app.capture_input import CaptureInput
from fociscope.app.controls import card, say
from fociscope.app.session import Session, in_thread
from fociscope.errors import FociscopeError
from fociscope.figures.reconstruction import draw_comparison, draw_reconstruction
from fociscope.results.result import Reconstruction
from fociscope.workflows import ReconstructionOptions, reconstruct

__all__ = ["DownloadPanel", "archive", "command_line", "figure"]

FORMATS = ("ome-tiff", "csv", "mat")
SIMULATED = "captures.npy"
IMAGER = "imager.toml"


class DownloadPanel:
    """The panel that offers archive, figure and command line."""

    def __init__(self, session: Session) -> None:
        """Build it."""
        self._session = session
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
        session = self._session
        if session.capture_input is None:
            return
        self._command.set_content(
            command_line(session.capture_input, model=session.model, layers=session.layers)
        )
        known = session.capture_input.truth(session.frame) is not None
        self._beside.set_visibility(known)
        inputs = {
            "files": "Run it where your files lie"
            + (
                ""
                if session.capture_input.imager is None
                else ", with imager.toml from the archive"
            ),
            "example": "The captures are in the archive",
            "simulated": "The captures and the imager are in the archive",
        }
        self._note.set_text(f"{inputs[session.capture_input.kind]}.")

    async def _pack(self) -> None:
        session = self._session
        capture_input = session.capture_input
        if capture_input is None:
            return
        self._done = (0, 1)
        self._zip.disable()
        self._progress.set_visibility(True)
        self._timer.activate()
        try:
            packed = await in_thread(
                archive,
                capture_input,
                model=session.model,
                layers=session.layers,
                device=session.device,
                progress=self._note_progress,
            )
            path = session.folder / "fociscope-map.zip"
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
        session = self._session
        if session.capture_input is None or session.result is None:
            return
        try:
            drawn = await in_thread(
                figure,
                session.result,
                session.capture_input,
                session.frame,
                suffix,
                with_truth=bool(self._beside.value),
            )
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        types = {"png": "image/png", "svg": "image/svg+xml"}
        ui.download.content(drawn, f"fociscope-map.{suffix}", types[suffix])


def archive(
    capture_input: CaptureInput,
    *,
    model: str,
    layers: int | None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Reconstruct all frames and return a ZIP archive: a folder `map`, and what the command needs.

    Raises:
        FociscopeError: as `fociscope.reconstruct`.
    """
    with tempfile.TemporaryDirectory(prefix="fociscope-download-") as name:
        top = Path(name)
        inputs = capture_input.files
        if capture_input.kind == "simulated":
            np.save(top / SIMULATED, capture_input.to_reconstruct(), allow_pickle=False)
            inputs = (top / SIMULATED,)
        if capture_input.imager is not None:
            capture_input.imager.to_toml(top / IMAGER)
        options = ReconstructionOptions(
            model=model,
            imager=capture_input.imager,
            layers=layers,
            device=device,
            formats=FORMATS,
            by_parts=False,
        )
        reconstruct(inputs, top / "map", options, title=capture_input.title, progress=progress)
        command = command_line(capture_input, model=model, layers=layers)
        (top / "command.txt").write_text(f"{command}\n", encoding="utf-8")
        return _zipped(top, inputs if capture_input.kind == "example" else ())


def command_line(capture_input: CaptureInput, *, model: str, layers: int | None) -> str:
    """Return the command that gives the same map, of the visitor's files or the archive's."""
    words = ["fociscope", "reconstruct", *(capture_input.names or (SIMULATED,)), "-o", "map"]
    options = [("model", model)]
    if layers is not None:
        options.append(("layers", str(layers)))
    if capture_input.imager is not None:
        options.append(("imager", IMAGER))
    options += [("format", name) for name in FORMATS]
    return shlex.join([*words, *(word for name, value in options for word in (f"--{name}", value))])


def figure(
    result: Reconstruction,
    capture_input: CaptureInput,
    frame: int,
    suffix: str,
    *,
    with_truth: bool = False,
) -> bytes:
    """Return the figure of one frame's map as `png` or `svg`; beside the truth, if asked."""
    truth = capture_input.truth(frame) if with_truth else None
    if truth is not None and len(truth.depth_um) == len(result.depth_um):
        drawn = draw_comparison(result, truth, capture_input.title)
    else:
        drawn = draw_reconstruction(result, capture_input.title)
    memory = BytesIO()
    drawn.savefig(memory, format=suffix)
    return memory.getvalue()


def _zipped(top: Path, more: tuple[Path, ...]) -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(p for p in top.rglob("*") if p.is_file()):
            packed.write(path, path.relative_to(top).as_posix())
        for path in more:
            packed.write(path, path.name)
    return memory.getvalue()
