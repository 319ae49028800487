"""What one visitor has: captures, a map, a folder; nothing of it is shared, and all of it goes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from fociscope.app.capture_input import CaptureInput
from fociscope.app.methods import as_estimate, default_model, model_for, models_for
from fociscope.app.scores import Scores, score
from fociscope.errors import FociscopeError
from fociscope.reconstruction.black_level import (
    BlackLevel,
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.results.foci import Focus, find_foci, label_foci
from fociscope.results.result import Reconstruction
from fociscope.typing import BoolArray, Float32Array

__all__ = ["LatestOnly", "Session", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")

#: Threads, not processes: torch and NumPy let go of the interpreter while they compute, and a
#: process would first have to import torch, which takes longer than many reconstructions.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fociscope")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work off the event loop; no more than two at a time, whoever asks."""
    return await asyncio.get_running_loop().run_in_executor(
        _threads, partial(work, *args, **kwargs)
    )


class LatestOnly:
    """Runs work for the latest wish: wishes that come while it works become one more run."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        """Take the work, which reads the wish when it starts."""
        self._work, self._wanted, self._running = work, False, False

    async def __call__(self) -> None:
        """Wish for the work to be done with what is set now."""
        self._wanted = True
        if self._running:
            return
        self._running = True
        try:
            while self._wanted:
                self._wanted = False
                await self._work()
        finally:
            self._running = False


class Session:
    """One open page."""

    def __init__(self, home: Path, *, device: str = "auto") -> None:
        """Begin; a folder appears below `home` when there is something to keep."""
        self.device = device
        self._home = home
        self._folder: Path | None = None
        self._closed = False
        self.capture_input: CaptureInput | None = None
        self.frame = 0
        self.model = ""
        self.layers: int | None = None
        """How many to look for; None for the model's own number."""
        self.threshold = 0.5
        self.result: Reconstruction | None = None
        """Of the frame that is looked at."""
        self.foci: list[Focus] = []
        self.pointed_at: Focus | None = None
        self.seconds = 0.0
        self.number = 0
        """Of the result; it grows."""

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

    def close(self) -> None:
        """End the visit: files and arrays go."""
        self._closed = True
        self.capture_input, self.result, self.foci, self.pointed_at = None, None, [], None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def reconstruct(self, capture_input: CaptureInput, frame: int = 0) -> None:
        """Reconstruct captures; the old map stays if they cannot be.

        Raises:
            FociscopeError: they cannot be reconstructed.
        """
        model = self.model if self.model in models_for(capture_input.sensors) else None
        await self._reconstruct(capture_input, frame, model or default_model(capture_input.sensors))

    async def rerun(self, *, frame: int | None = None, model: str | None = None) -> None:
        """Reconstruct another frame of the same captures, or with another model."""
        assert self.capture_input is not None
        which = self.frame if frame is None else frame
        await self._reconstruct(self.capture_input, which, model or self.model)

    async def _reconstruct(self, capture_input: CaptureInput, frame: int, model: str) -> None:
        start = time.perf_counter()
        result, foci = await in_thread(self._work, capture_input, frame, model)
        if self._closed:
            return
        self.capture_input, self.frame, self.model = capture_input, frame, model
        self.result, self.foci, self.pointed_at = result, foci, None
        self.seconds = time.perf_counter() - start
        self.number += 1

    def _work(
        self, capture_input: CaptureInput, frame: int, model: str
    ) -> tuple[Reconstruction, list[Focus]]:
        trained = model_for(model, capture_input.imager, self.device)
        layers = self.layers
        if layers is not None:
            layers = min(layers, trained.info.architecture.layers)
        black = BlackLevel()
        if capture_input.kind == "files":
            stated = stated_black_level(capture_input.imager)
            black = find_black_level(capture_input.frames[:1], stated)
        result = trained.reconstruct(
            capture_input.frames[frame], layers=layers, correction=with_black_level(None, black)
        )
        unlike = (f"{text}; expect worse maps and depths" for text in result.warnings)
        result = replace(result, warnings=(*unlike, *black.notes, *black.warnings))
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
    def scores(self) -> Scores | None:
        """The map at the visitor's threshold against the truth; None where that is not known."""
        if self.capture_input is None or self.result is None:
            return None
        truth = self.capture_input.truth(self.frame)
        if truth is None:
            return None
        return score(replace(as_estimate(self.result), mask=self.mask), truth)
