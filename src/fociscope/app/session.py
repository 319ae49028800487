"""What one visitor has: captures, a map, a folder; nothing of it is shared, and all of it goes."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.app.capture_input import CaptureInput, without_folders
from fociscope.app.jobs import Jobs
from fociscope.app.methods import as_estimate, described, model_for, models_for
from fociscope.app.scores import Scores, score
from fociscope.app.traces import FrameFigures, figures_of
from fociscope.errors import FociscopeError
from fociscope.figures.reconstruction import Truth
from fociscope.networks.store import usual_model
from fociscope.reconstruction import ChipCorrection
from fociscope.results.foci import Focus, find_foci, label_foci
from fociscope.results.result import Reconstruction
from fociscope.typing import BoolArray, Float32Array
from fociscope.workflows import (
    ReconstructionOptions,
    load_correction_for,
    reconstruct_captures,
)

__all__ = ["ChipFrames", "Session", "reconstructed"]

#: Frames of a series that are reconstructed at a time for their figures.
TRACED_AT_ONCE = 8


class Session:
    """One open page."""

    def __init__(self, home: Path, options: ReconstructionOptions | None = None) -> None:
        """Begin; a folder appears below `home` when there is something to keep."""
        self.options = options or ReconstructionOptions()
        """What the visitor has chosen: model, imager, correction, preparation, layers."""
        self.own_models: dict[str, Path] = {}
        """Models that the visitor brought, by the names of their files."""
        if isinstance(self.options.model, Path):
            self.add_model(self.options.model)
        self.jobs = Jobs()
        """The visitor's work off the event loop."""
        self._home = home
        self._folder: Path | None = None
        self._closed = False
        self._drops = 0
        self.capture_input: CaptureInput | None = None
        self.frame = 0
        self.threshold = 0.5
        self.result: Reconstruction | None = None
        """Of the frame that is looked at."""
        self.chip = ChipFrames()
        self.traces: dict[int, FrameFigures] = {}
        """Number of a frame -> its figures, of those that were reconstructed with these options."""
        self.foci: list[Focus] = []
        self.pointed_at: Focus | None = None
        self.seconds = 0.0
        self.number = 0
        """Of the result; it grows."""

    @property
    def is_closed(self) -> bool:
        """Whether the visit has ended."""
        return self._closed

    @property
    def folder(self) -> Path:
        """Where the visitor's files lie, until the visit ends.

        Raises:
            FociscopeError: it has ended.
        """
        if self._closed:
            raise FociscopeError("this visit has ended; load the page again")
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="visit-", dir=self._home))
        return self._folder

    def new_folder(self, name: str) -> Path:
        """Return the path of a folder for files that are sent together."""
        self._drops += 1
        return self.folder / f"{name}-{self._drops}"

    def close(self) -> None:
        """End the visit: its work ends, files and arrays go."""
        self._closed = True
        self.jobs.end()
        self.capture_input, self.result, self.foci, self.pointed_at = None, None, [], None
        self.traces, self.chip = {}, ChipFrames()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def model(self) -> str:
        """Name of the model or of the visitor's file; empty before the first map."""
        chosen = self.options.model
        return chosen.name if isinstance(chosen, Path) else chosen or ""

    @property
    def applied(self) -> ReconstructionOptions:
        """The options as they hold for the captures that are looked at."""
        assert self.capture_input is not None
        return self.capture_input.options(self.options)

    def models(self, sensors: int) -> list[str]:
        """Return the names of models that take as many sensors, shipped ones first."""
        own = (n for n, path in self.own_models.items() if _sensors_of(path) == sensors)
        return [*models_for(sensors), *own]

    def named_model(self, name: str) -> str | Path:
        """Return a model by its name, as options take it."""
        return self.own_models.get(name, name)

    def add_model(self, path: Path) -> str:
        """Take a model that the visitor brought, and return its name.

        Raises:
            ModelError: it is none.
        """
        described(path)
        self.own_models[path.name] = path
        return path.name

    async def reconstruct(self, capture_input: CaptureInput, frame: int = 0) -> None:
        """Reconstruct captures; the old map stays if they cannot be.

        Raises:
            FociscopeError: they cannot be reconstructed.
        """
        options = self._fitting(self.options, capture_input.sensors)
        await self._reconstruct(capture_input, frame, options)

    async def rerun(self, *, frame: int | None = None, **changes: Any) -> None:
        """Reconstruct another frame of the same captures, or with other options.

        Args:
            frame: number of the capture, from 0; None for the one that is looked at.
            changes: fields of the options; all stay as they were if they cannot be met.

        Raises:
            FociscopeError: the options cannot be met.
        """
        options = replace(self.options, **changes)
        if self.capture_input is None:
            self.options = options
            return
        which = self.frame if frame is None else frame
        options = self._fitting(options, self.capture_input.sensors)
        await self._reconstruct(self.capture_input, which, options)

    async def change_chip(self, **changes: Any) -> bool:
        """Change what the visitor says of imager, chip and preparation; return if the map is new.

        Raises:
            FociscopeError: the options cannot be met; all stay as they were.
        """
        if self.capture_input is None or not self.capture_input.is_visitors:
            self.options = replace(self.options, **changes)
            return False
        await self.rerun(**changes)
        return True

    async def go_on(
        self, capture_input: CaptureInput, *, new: int, frame: int | None = None
    ) -> None:
        """Look at captures that are followed, of which the last came since the look before.

        Args:
            capture_input: all that is kept.
            new: number of the captures that came.
            frame: number of the capture to look at; None for the newest.

        Raises:
            FociscopeError: a capture cannot be reconstructed.
        """
        last = len(capture_input.frames) - 1
        before = self.capture_input
        if before is not None and before.kind == capture_input.kind:
            gone = len(before.frames) + new - len(capture_input.frames)  # not kept any more
            self.traces = {n - gone: figures for n, figures in self.traces.items() if n >= gone}
            self.capture_input = capture_input
            frame = None if frame is None else max(0, frame - gone)
        await self.reconstruct(capture_input, last if frame is None else frame)
        async for _ in self.trace_all(range(max(0, last + 1 - new), last + 1)):
            pass

    async def trace_all(
        self, frames: Iterable[int] | None = None
    ) -> AsyncIterator[tuple[int, int]]:
        """Reconstruct frames for their figures alone; yield how many are done, and of how many.

        It ends when other captures are looked at, or other options hold.

        Args:
            frames: numbers, from 0; None for all. Those that are done are left out.

        Raises:
            FociscopeError: a frame cannot be reconstructed.
        """
        capture_input, options = self.capture_input, self.options
        assert capture_input is not None
        wanted = range(len(capture_input.frames)) if frames is None else frames
        missing = [n for n in wanted if n not in self.traces]
        for start in range(0, len(missing), TRACED_AT_ONCE):
            part = missing[start : start + TRACED_AT_ONCE]
            figures = await self.jobs.long(_traced, capture_input, part, options, self.chip)
            if self._closed or capture_input is not self.capture_input or options != self.options:
                return
            self.traces |= dict(zip(part, figures, strict=True))
            yield start + len(part), len(missing)

    def _fitting(self, options: ReconstructionOptions, sensors: int) -> ReconstructionOptions:
        """Take the usual model where the chosen one takes other captures; no layers beyond it."""
        model = options.model
        if model is None or _sensors_of(model) != sensors:
            model = usual_model(sensors)
            options = replace(options, model=model)
        most = described(model).architecture.layers
        if options.layers is not None and options.layers > most:
            options = replace(options, layers=None)
        return options

    async def _reconstruct(
        self, capture_input: CaptureInput, frame: int, options: ReconstructionOptions
    ) -> None:
        start = time.perf_counter()
        result, foci = await self.jobs.quick(self._work, capture_input, frame, options)
        if self._closed:
            return
        if capture_input is not self.capture_input or options != self.options:
            self.traces = {}
        self.capture_input, self.frame, self.options = capture_input, frame, options
        self.result, self.foci, self.pointed_at = result, foci, None
        (self.traces[frame],) = figures_of(result)
        self.seconds = time.perf_counter() - start
        self.number += 1

    def _work(
        self, capture_input: CaptureInput, frame: int, options: ReconstructionOptions
    ) -> tuple[Reconstruction, list[Focus]]:
        result = reconstructed(capture_input, frame, options, self.chip)
        return result, find_foci(result)

    @property
    def mask(self) -> BoolArray:
        """(layer, y, x): where the probability exceeds the visitor's threshold."""
        assert self.result is not None
        there = self.result.present[:, None, None]
        return np.asarray((self.result.probability > self.threshold) & there)

    @property
    def depth_um(self) -> Float32Array:
        """(layer,); NaN where a layer is absent."""
        assert self.result is not None
        return np.where(self.result.present, self.result.depth_um, np.nan).astype(np.float32)

    @property
    def focus_pixels(self) -> BoolArray | None:
        """(layer, y, x): the pixels of the focus that is pointed at; None without one."""
        if self.pointed_at is None or self.result is None:
            return None
        labels = label_foci(self.result)
        mine = np.arange(len(labels)) == self.pointed_at.layer
        return np.asarray((labels == self.pointed_at.label) & mine[:, None, None])

    @property
    def truth(self) -> Truth | None:
        """What the frame is really like, on the pixels of the map; None where it is not known."""
        if self.capture_input is None:
            return None
        return self.capture_input.truth(self.frame, self.applied.preparation)

    @property
    def scores(self) -> Scores | None:
        """The map at the visitor's threshold against the truth; None where that is not known."""
        if self.capture_input is None or self.result is None:
            return None
        truth = self.truth
        if truth is None:
            return None
        return score(replace(as_estimate(self.result), mask=self.mask), truth)


class ChipFrames:
    """The correction that was loaded last: frames of a series share one, and files are read once.

    It is read again when a file has changed since.
    """

    def __init__(self) -> None:
        """Begin without one."""
        self._loaded: tuple[Hashable, ChipCorrection | None] | None = None

    def correction(self, options: ReconstructionOptions, sensors: int) -> ChipCorrection | None:
        """Return the correction that options name for so many sensors.

        Raises:
            FociscopeError: a file cannot be read.
        """
        files = [path for paths in options.chip_files for path in paths]
        found = (path.stat() for path in files if path.exists())
        stamps = tuple((stat.st_mtime_ns, stat.st_size) for stat in found)
        chip = (options.chip_files, options.dark_counts, options.pages, options.preparation)
        key = (chip, sensors, stamps)
        loaded = self._loaded
        if loaded is None or loaded[0] != key:
            self._loaded = loaded = (key, load_correction_for(options, sensors=sensors))
        return loaded[1]


def reconstructed(
    capture_input: CaptureInput,
    frame: int,
    options: ReconstructionOptions,
    chip: ChipFrames | None = None,
) -> Reconstruction:
    """Reconstruct one frame, as `fociscope.reconstruct` does with the same options.

    Args:
        capture_input: captures.
        frame: number of the one to reconstruct, from 0.
        options: what the visitor has chosen.
        chip: keeps the correction for the next frame.

    Raises:
        FociscopeError: it cannot be reconstructed.
    """
    return _reconstruct_frames(capture_input, [frame], options, chip, which=1)


def _traced(
    capture_input: CaptureInput,
    frames: list[int],
    options: ReconstructionOptions,
    chip: ChipFrames,
) -> list[FrameFigures]:
    """Return the figures of some frames."""
    every = range(1, len(frames) + 1)
    return figures_of(_reconstruct_frames(capture_input, frames, options, chip, which=every))


def _reconstruct_frames(
    capture_input: CaptureInput,
    frames: list[int],
    options: ReconstructionOptions,
    chip: ChipFrames | None,
    *,
    which: int | Sequence[int],
) -> Reconstruction:
    """Reconstruct some frames; the first one of the series goes ahead to settle the black level."""
    height, width = capture_input.frames.shape[-2:]
    with without_folders([path for paths in options.chip_files for path in paths]):
        applied = capture_input.options(options)
        return reconstruct_captures(
            capture_input.frames[[0, *frames]],
            applied,
            frame=which,
            model=model_for(applied, (height, width)),
            correction=(chip or ChipFrames()).correction(applied, capture_input.sensors),
        )


def _sensors_of(model: str | Path) -> int:
    return described(model).architecture.sensors
