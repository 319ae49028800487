"""Download: all files of a map as one archive, its figure, and the command that makes them."""

from __future__ import annotations

import shlex
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from nicegui import ui

from fociscope.app.capture_input import CaptureInput
from fociscope.app.controls import card, say
from fociscope.app.session import Session
from fociscope.errors import FociscopeError
from fociscope.figures.reconstruction import Truth, draw_comparison, draw_reconstruction
from fociscope.imager import Imager
from fociscope.results.result import Reconstruction
from fociscope.results.writers import WRITERS
from fociscope.workflows import ReconstructionOptions, reconstruct

__all__ = ["DownloadPanel", "archive", "command_line", "figure", "possible_formats"]

#: Formats that are chosen at first, of all that `WRITERS` holds.
USUAL_FORMATS = ("ome-tiff", "mat", "csv")
CAPTURES = "captures.npy"
IMAGER = "imager.toml"


class DownloadPanel:
    """The panel that offers archive, figure and command line."""

    def __init__(self, session: Session) -> None:
        """Build it."""
        self._session = session
        self._done = (0, 1)
        self._chosen = set(USUAL_FORMATS)
        self._offered: tuple[str, ...] = ()
        with ui.column().classes("w-full gap-3 pt-2 max-w-3xl"):
            with card("All files"):
                ui.label(
                    "What `fociscope reconstruct` writes, of every capture of a series: maps and "
                    "tables in the formats below, the summary with all figures, the picture, and "
                    "the command."
                ).classes("text-sm opacity-80")
                self._formats = ui.column().classes("w-full gap-0")
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
        self._offer_formats(is_series=session.capture_input.is_series)
        self._beside.set_visibility(session.truth is not None)
        inputs = {
            "files": "Run it where your files lie"
            + ("" if session.applied.imager is None else ", with imager.toml from the archive"),
            "example": "The captures are in the archive",
            "simulated": "The captures and the imager are in the archive",
            "watched": "The captures are in the archive",
        }
        self._note.set_text(f"{inputs[session.capture_input.kind]}.")

    def _offer_formats(self, *, is_series: bool) -> None:
        """Offer all formats that hold such captures, those of plug-ins among them."""
        self._offered = possible_formats(is_series=is_series)
        self._formats.clear()
        with self._formats:
            for name in self._offered:
                box = ui.checkbox(
                    f"{name}: {WRITERS[name].label}",
                    value=name in self._chosen,
                    on_change=partial(self._choose, name),
                )
                box.props("dense size=xs").classes("text-sm")
        self._show_command()

    def _choose(self, name: str, event: object) -> None:
        if getattr(event, "value", False):
            self._chosen.add(name)
        else:
            self._chosen.discard(name)
        self._show_command()

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that are offered and chosen."""
        return tuple(name for name in self._offered if name in self._chosen)

    def _show_command(self) -> None:
        capture_input = self._session.capture_input
        self._zip.set_enabled(bool(self.formats))
        if capture_input is not None:
            self._command.set_content(
                command_line(capture_input, self._session.applied, self.formats)
            )

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
            packed = await session.jobs.long(
                archive,
                capture_input,
                session.applied,
                self.formats,
                progress=self._note_progress,
            )
            path = session.folder / "fociscope-map.zip"
            await session.jobs.long(path.write_bytes, packed)
            ui.download.file(path, "fociscope-map.zip")
        except FociscopeError as error:
            say(str(error), wrong=True)
        finally:
            self._timer.deactivate()
            self._progress.set_visibility(False)
            self._zip.enable()

    def _note_progress(self, done: int, total: int) -> None:
        """Note from the working thread, which ends here if nobody waits; a timer shows it."""
        self._session.jobs.check()
        self._done = done, total

    def _show_progress(self) -> None:
        done, total = self._done
        self._progress.set_value(done / max(total, 1))

    async def _draw(self, suffix: str) -> None:
        session = self._session
        if session.capture_input is None or session.result is None:
            return
        try:
            drawn = await session.jobs.quick(
                figure,
                session.result,
                session.capture_input.title,
                suffix,
                truth=session.truth if self._beside.value else None,
            )
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        types = {"png": "image/png", "svg": "image/svg+xml"}
        ui.download.content(drawn, f"fociscope-map.{suffix}", types[suffix])


def possible_formats(*, is_series: bool) -> tuple[str, ...]:
    """Return the names of the registered formats that hold one capture, or a series."""
    return tuple(name for name, writer in WRITERS.items() if writer.takes_series or not is_series)


def archive(
    capture_input: CaptureInput,
    options: ReconstructionOptions,
    formats: Sequence[str] = USUAL_FORMATS,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Reconstruct all frames and return a ZIP archive: a folder `map`, and what the command needs.

    Args:
        capture_input: captures.
        options: as they hold for these captures.
        formats: of the results.
        progress: is called with the captures done and their number.

    Raises:
        FociscopeError: as `fociscope.reconstruct`.
    """
    with tempfile.TemporaryDirectory(prefix="fociscope-download-") as name:
        top = Path(name)
        inputs = capture_input.files
        if not inputs:
            np.save(top / CAPTURES, capture_input.to_reconstruct(), allow_pickle=False)
            inputs = (top / CAPTURES,)
        if isinstance(options.imager, Imager):
            options.imager.to_toml(top / IMAGER)
        reconstruct(
            inputs,
            top / "map",
            replace(options, formats=tuple(formats), by_parts=False, batch=False),
            title=capture_input.title,
            progress=progress,
        )
        command = command_line(capture_input, options, formats)
        (top / "command.txt").write_text(f"{command}\n", encoding="utf-8")
        return _zipped(top, inputs if capture_input.kind == "example" else ())


def command_line(
    capture_input: CaptureInput,
    options: ReconstructionOptions,
    formats: Sequence[str] = USUAL_FORMATS,
) -> str:
    """Return the command that gives the same map, of the visitor's files or the archive's.

    Args:
        capture_input: captures.
        options: as they hold for these captures.
        formats: of the results.
    """
    names = capture_input.names if capture_input.files else (CAPTURES,)
    words = ["fociscope", "reconstruct", *names, "-o", "map"]
    model = options.model
    chosen = []
    if model is not None:
        chosen.append(("model", model.name if isinstance(model, Path) else model))
    if options.layers is not None:
        chosen.append(("layers", str(options.layers)))
    if options.imager is not None:
        chosen.append(("imager", IMAGER))
    for what, files in zip(("dark", "flat", "bad-pixels"), options.chip_files, strict=True):
        chosen += [(what, path.name) for path in files]
    preparation = options.preparation
    for what, flip in (("flip-a", preparation.flip_a), ("flip-b", preparation.flip_b)):
        if flip != "none":
            chosen.append((what, flip))
    if preparation.crop is not None:
        chosen.append(("crop", ",".join(map(str, preparation.crop))))
    chosen += [("format", name) for name in formats]
    switches = ["film"] if len(names) > 2 else []  # several files are a series here
    given = [word for name, value in chosen for word in (f"--{name}", value)]
    return shlex.join([*words, *given, *(f"--{name}" for name in switches)])


def figure(result: Reconstruction, title: str, suffix: str, *, truth: Truth | None = None) -> bytes:
    """Return the figure of one frame's map as `png` or `svg`; beside the truth, if there is one."""
    if truth is not None and len(truth.depth_um) == len(result.depth_um):
        drawn = draw_comparison(result, truth, title)
    else:
        drawn = draw_reconstruction(result, title)
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
