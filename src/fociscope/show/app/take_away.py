"""What a visitor takes home: the files of `fociscope reconstruct`, a figure, the command line."""

from __future__ import annotations

import shlex
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from fociscope.reconstruction.provenance import provenance
from fociscope.reconstruction.result import Reconstruction
from fociscope.show.app.captured import Captured
from fociscope.show.app.methods import model_for
from fociscope.show.figures import draw_comparison, draw_reconstruction

__all__ = ["archive", "command_line", "figure"]

FORMATS = ("ome-tiff", "csv", "mat")
SIMULATED = "captures.npy"
IMAGER = "imager.toml"


def command_line(captured: Captured, *, model: str, layers: int | None) -> str:
    """Return the command that gives the same map, of the visitor's files or the archive's."""
    words = ["fociscope", "reconstruct", *(captured.names or (SIMULATED,)), "-o", "map"]
    words += ["--model", model]
    if layers is not None:
        words += ["--layers", str(layers)]
    if captured.imager is not None:
        words += ["--imager", IMAGER]
    for name in FORMATS:
        words += ["--format", name]
    return shlex.join(words)


def archive(
    captured: Captured,
    *,
    model: str,
    layers: int | None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Reconstruct all frames and return a ZIP archive: a folder `map`, and what the command needs.

    Raises:
        FociscopeError: as `Model.reconstruct`.
    """
    trained = model_for(model, captured.imager, device)
    result = trained.reconstruct(captured.to_reconstruct(), layers=layers, progress=progress)
    with tempfile.TemporaryDirectory(prefix="fociscope-take-away-") as name:
        top = Path(name)
        folder = top / "map"
        folder.mkdir()
        inputs = captured.files
        if captured.kind == "simulated":
            np.save(top / SIMULATED, captured.to_reconstruct(), allow_pickle=False)
            inputs = (top / SIMULATED,)
        if captured.imager is not None:
            captured.imager.to_toml(top / IMAGER)
        made = provenance(inputs, model, imager=trained.imager)
        result.write_into(folder, FORMATS, **made)
        draw_reconstruction(result.frame(0), captured.title).savefig(folder / "figure.png")
        command = command_line(captured, model=model, layers=layers)
        (top / "command.txt").write_text(f"{command}\n", encoding="utf-8")
        given = inputs if captured.kind == "example" else ()
        return _zipped(top, given)


def _zipped(top: Path, more: tuple[Path, ...]) -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(p for p in top.rglob("*") if p.is_file()):
            packed.write(path, path.relative_to(top).as_posix())
        for path in more:
            packed.write(path, path.name)
    return memory.getvalue()


def figure(
    result: Reconstruction, captured: Captured, frame: int, suffix: str, *, with_truth: bool = False
) -> bytes:
    """Return the figure of one frame's map as `png` or `svg`; beside the truth, if asked."""
    truth = captured.truth(frame) if with_truth else None
    if truth is not None and len(truth.depth_um) == len(result.depth_um):
        drawn = draw_comparison(result, truth, captured.title)
    else:
        drawn = draw_reconstruction(result, captured.title)
    memory = BytesIO()
    drawn.savefig(memory, format=suffix)
    return memory.getvalue()
