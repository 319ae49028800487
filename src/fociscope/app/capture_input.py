"""What a visitor looks at: the shipped example, files that were dropped, or a simulated scene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from fociscope.app.scene import SceneSettings, simulate_scene
from fociscope.errors import FileFormatError
from fociscope.figures.reconstruction import Truth
from fociscope.files import Limits, list_suffixes, open_captures, read_captures, read_images_depth
from fociscope.imager import Imager
from fociscope.typing import Float32Array

__all__ = [
    "UPLOAD_BYTES",
    "UPLOAD_LIMITS",
    "CaptureInput",
    "from_upload",
    "safe_name",
    "shipped_example",
    "simulated",
    "upload_suffixes",
]

#: The most that may be sent at a time, and what it may grow to in memory.
UPLOAD_BYTES = 256 * 2**20
UPLOAD_LIMITS = Limits(max_frame_px=4096, max_pages=20_000, max_bytes=2**30)


def upload_suffixes() -> tuple[str, ...]:
    """Return the suffixes of files that a visitor may send: every format that is one file."""
    return list_suffixes("file")


@dataclass(frozen=True)
class CaptureInput:
    """Captures, and what is known of them."""

    kind: Literal["example", "files", "simulated"]
    frames: Float32Array
    """(frame, sensor, y, x)."""
    names: tuple[str, ...]
    """Of the files; empty when simulated."""
    files: tuple[Path, ...] = ()
    is_series: bool = False
    """Came with a frame axis, even if of one frame."""
    imager: Imager | None = None
    """None for the one that the model was trained around."""
    truths: tuple[Truth, ...] = ()
    """One per frame, or none at all."""
    pixel_size_um: float | None = None
    """As the files state it."""

    @property
    def sensors(self) -> int:
        """1 or 2."""
        return int(self.frames.shape[1])

    @property
    def title(self) -> str:
        """What stands above it."""
        if self.kind == "simulated":
            return "Simulated scene"
        names = " + ".join(self.names)
        return f"Shipped example ({names})" if self.kind == "example" else names

    def truth(self, frame: int) -> Truth | None:
        """Return what a frame is really like, where that is known."""
        return self.truths[frame] if self.truths else None

    def to_reconstruct(self) -> Float32Array:
        """Return the captures with the axes that their files have."""
        return self.frames if self.is_series else self.frames[0]


@lru_cache(maxsize=1)
def shipped_example() -> CaptureInput:
    """Return the capture pair that `fociscope demo` reconstructs, with its truth."""
    from fociscope.demo import CAPTURES, TRUTH

    folder = Path(str(resources.files("fociscope.demo")))
    files = tuple(folder / name for name in CAPTURES)
    return CaptureInput(
        kind="example",
        frames=read_captures(files)[None],
        names=CAPTURES,
        files=files,
        truths=_truths(folder / TRUTH),
    )


def simulated(settings: SceneSettings) -> CaptureInput:
    """Return the scene that the sliders ask for.

    Raises:
        SceneError, ImagerError: there can be no such scene.
    """
    scene = simulate_scene(settings)
    imager = None if _is_reference(scene.imager) else scene.imager
    return CaptureInput(
        kind="simulated",
        frames=scene.captures[None],
        names=(),
        imager=imager,
        truths=(scene.truth,),
    )


def from_upload(files: Sequence[Path], imager: Imager | None = None) -> CaptureInput:
    """Read files that a visitor dropped: A, A and B, or one file of both.

    Raises:
        FileFormatError: as `read_captures`; the message names the file, not its folder.
    """
    try:
        with open_captures(files, limits=UPLOAD_LIMITS) as series:
            captures = series.read()
        truths = _truths(files[0]) if len(files) == 1 else ()
    except FileFormatError as error:
        message = str(error)
        for file in files:
            message = message.replace(f"{file.parent}/", "").replace(f"{file.parent}\\", "")
        raise FileFormatError(message) from None
    return CaptureInput(
        kind="files",
        frames=captures,
        names=tuple(file.name for file in files),
        files=tuple(files),
        is_series=not series.is_single,
        imager=imager,
        truths=truths if len(truths) == len(captures) else (),
        pixel_size_um=series.pixel_size_um,
    )


def safe_name(given: str) -> str:
    """Return a file name without a path in it, of harmless characters, with a known suffix.

    Raises:
        FileFormatError: a kind of file that nothing here reads.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", re.split(r"[/\\]", given)[-1]).lstrip(".-")[-100:]
    suffixes = upload_suffixes()
    if not name.lower().endswith(suffixes):
        shown = name or "a file without a name"
        raise FileFormatError(
            f"{shown}: not a kind of file that is read here; expected {', '.join(suffixes)}."
        )
    return name


def _is_reference(imager: Imager) -> bool:
    reference = Imager.reference()
    return imager.with_(name=reference.name) == reference


def _truths(path: Path) -> tuple[Truth, ...]:
    """Return what a file of the published layout says of its samples; () of any other."""
    if path.suffix.lower() not in list_suffixes("dataset"):
        return ()
    try:
        data = read_images_depth(path, UPLOAD_LIMITS)
    except FileFormatError:  # captures without the layout's names, which know no truth
        return ()
    if data.depth_map_um is None or data.depth_um is None:
        return ()
    return tuple(
        Truth(mask=layers > 0, depth_um=depth)
        for layers, depth in zip(data.depth_map_um, data.depth_um, strict=True)
    )
