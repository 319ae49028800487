"""What a visitor looks at: the shipped example, files that were dropped, or a simulated scene."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np

from fociscope.app.scene import SceneSettings, simulate_scene
from fociscope.errors import FileFormatError, FociscopeError
from fociscope.figures.reconstruction import Truth
from fociscope.files import (
    CaptureSeries,
    Limits,
    list_suffixes,
    open_captures,
    read_captures,
    read_images_depth,
)
from fociscope.imager import Imager
from fociscope.reconstruction import Preparation
from fociscope.reconstruction.preparation import prepared
from fociscope.typing import Float32Array
from fociscope.workflows import ReconstructionOptions

__all__ = [
    "UPLOAD_BYTES",
    "UPLOAD_LIMITS",
    "CaptureInput",
    "from_upload",
    "safe_name",
    "shipped_example",
    "simulated",
    "upload_suffixes",
    "without_folders",
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

    kind: Literal["example", "files", "simulated", "watched"]
    frames: Float32Array
    """(frame, sensor, y, x)."""
    names: tuple[str, ...]
    """Of the files; empty when simulated."""
    files: tuple[Path, ...] = ()
    is_series: bool = False
    """Came with a frame axis, even if of one frame."""
    imager: Imager | None = None
    """Of a simulated scene; None for the one of the visitor, or of the model."""
    truths: tuple[Truth, ...] = ()
    """One per frame, or none at all."""
    pixel_size_um: float | None = None
    """As the files state it."""
    frame_names: tuple[str, ...] = ()
    """Of each frame's file; empty where frames have none of their own."""
    time_s: tuple[float, ...] | None = None
    """When each frame was taken, s; None where the files do not say."""

    @property
    def sensors(self) -> int:
        """1 or 2."""
        return int(self.frames.shape[1])

    @property
    def title(self) -> str:
        """What stands above it."""
        if self.kind == "simulated":
            return "Simulated scene"
        if self.kind == "watched":
            return f"Following {self.names[0]}"
        names = " + ".join(self.names)
        return f"Shipped example ({names})" if self.kind == "example" else names

    @property
    def is_visitors(self) -> bool:
        """Whether it comes from the visitor's imager, not from a simulator."""
        return self.kind in ("files", "watched")

    def options(self, chosen: ReconstructionOptions) -> ReconstructionOptions:
        """Return the options that hold for these captures.

        What the visitor says of imager, chip and preparation is said of their files; scenes that
        were simulated know their imager, and need no correction.

        Args:
            chosen: what the visitor has chosen.

        Raises:
            ImagerError: the imager cannot have so many sensors.
        """
        if not self.is_visitors:
            return ReconstructionOptions(
                model=chosen.model, layers=chosen.layers, device=chosen.device, imager=self.imager
            )
        imager = chosen.imager
        if isinstance(imager, Imager):
            imager = imager.with_(sensors=self.sensors)
        return replace(chosen, imager=imager)

    def truth(self, frame: int, preparation: Preparation | None = None) -> Truth | None:
        """Return what a frame is really like, where that is known.

        Args:
            frame: number of the capture, from 0.
            preparation: what is done to captures before they are reconstructed; the truth lies on
                the pixels of sensor A.
        """
        if not self.truths:
            return None
        truth = self.truths[frame]
        if preparation is None or preparation == Preparation():
            return truth
        like_a = Preparation(crop=preparation.crop, flip_a=preparation.flip_a)
        layers, height, width = truth.mask.shape
        masks = CaptureSeries(
            shape=(layers, 1, height, width),
            read_frames=lambda start, stop: truth.mask[start:stop, None].astype(np.float32),
        )
        return Truth(mask=prepared(masks, like_a).read()[:, 0] > 0, depth_um=truth.depth_um)

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


def from_upload(files: Sequence[Path], *, allow_non_finite: bool = False) -> CaptureInput:
    """Read files that a visitor dropped: A, A and B, or one file of both.

    Args:
        files: of one folder.
        allow_non_finite: let NaN and infinity pass, as for captures whose bad pixels are filled.

    Raises:
        FileFormatError: as `read_captures`; the message names the file, not its folder.
    """
    with without_folders(files):
        with open_captures(
            files, limits=UPLOAD_LIMITS, allow_non_finite=allow_non_finite
        ) as series:
            captures = series.read()
        truths = _truths(files[0]) if len(files) == 1 else ()
    return CaptureInput(
        kind="files",
        frames=captures,
        names=tuple(file.name for file in files),
        files=tuple(files),
        is_series=not series.is_single,
        truths=truths if len(truths) == len(captures) else (),
        pixel_size_um=series.pixel_size_um,
        frame_names=series.frame_names,
        time_s=series.time_s,
    )


@contextmanager
def without_folders(files: Sequence[Path]) -> Iterator[None]:
    """Let errors name files, and not the folders in which the app keeps them."""
    try:
        yield
    except FociscopeError as error:
        message = str(error)
        for file in files:
            message = message.replace(f"{file.parent}/", "").replace(f"{file.parent}\\", "")
        raise type(error)(message) from None


def safe_name(given: str, suffixes: tuple[str, ...] | None = None) -> str:
    """Return a file name without a path in it, of harmless characters, with a known suffix.

    Args:
        given: as the browser names it.
        suffixes: that are expected; without them, those of captures.

    Raises:
        FileFormatError: a kind of file that is not expected.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", re.split(r"[/\\]", given)[-1]).lstrip(".-")[-100:]
    suffixes = suffixes or upload_suffixes()
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
