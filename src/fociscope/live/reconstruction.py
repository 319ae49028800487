"""Frames in, maps out, in a thread of its own: the newest frame first, and never a wait.

An instrument must not wait for its reconstruction. So a frame that comes is copied and left, and a
worker takes the newest one whenever it is free. What it cannot keep up with is dropped, oldest
first, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

from fociscope.arrays import as_tensor
from fociscope.errors import CaptureError, FociscopeError, whole_number
from fociscope.live.statistics import LiveStatistics
from fociscope.typing import ArrayLike, Float32Array

__all__ = ["LiveFrame", "LiveReconstruction"]

#: Latencies that median and 90th percentile are of.
LAST_MAPS = 1000
LARGEST_QUEUE = 1024

Result = TypeVar("Result")


@dataclass(frozen=True)
class LiveFrame(Generic[Result]):
    """One capture of a running instrument, and what was made of it.

    Examples:
        >>> import numpy as np
        >>> from fociscope.live import LiveFrame
        >>> frame = LiveFrame(3, "run 1, frame 3", np.zeros((2, 51, 51), np.float32), "a map", 0.02)
        >>> frame.name, frame.result
        ('run 1, frame 3', 'a map')
    """

    number: int
    """Number of the capture among those received, from 0."""
    name: str
    """Name that it came with."""
    capture: Float32Array
    """(sensor, y, x) light."""
    result: Result
    """What the function that reconstructs has returned."""
    latency_s: float
    """Time from its arrival to its map in s, the wait for the frame before it included."""


@dataclass(frozen=True)
class _Arrived:
    number: int
    name: str
    capture: Float32Array
    at_s: float


class LiveReconstruction(Generic[Result]):
    """Reconstructs captures as they come, in a thread of its own.

    `submit` copies a capture and returns at once. If `waiting` captures wait already, the oldest of
    them is dropped and counted. A capture that cannot be reconstructed is counted as failed and
    handed to `on_error`; the next one goes on.

    Examples:
        >>> import fociscope
        >>> from fociscope.live import LiveReconstruction
        >>> model = fociscope.load_model("layers-ab")
        >>> captures = fociscope.simulate(3, seed=0).captures
        >>> depths = []
        >>> def keep(frame):
        ...     depths.append(frame.result.depth_um)
        >>> with LiveReconstruction(model.reconstruct, keep, waiting=3) as live:
        ...     for capture in captures:
        ...         live.submit(capture)
        True
        True
        True
        >>> len(depths), live.statistics.dropped
        (3, 0)
    """

    def __init__(
        self,
        reconstruct: Callable[[Float32Array], Result],
        on_map: Callable[[LiveFrame[Result]], object],
        *,
        on_error: Callable[[str, Exception], object] | None = None,
        waiting: int = 1,
    ) -> None:
        """Prepare; `start`, or `with`, begins.

        Args:
            reconstruct: Function of a capture (sensor, y, x): `Model.reconstruct`, a
                `functools.partial` of `fociscope.workflows.reconstruct_captures` with options, a
                `Locator`'s `locate`.
            on_map: Function that takes each `LiveFrame`, in the worker's thread.
            on_error: Function that takes name and error of each capture that failed, in the
                worker's thread.
            waiting: Captures that may wait while one is reconstructed; 1 for the newest alone.

        Raises:
            FociscopeError: If `waiting` is no whole number from 1 to 1024.
        """
        self._waiting = whole_number(waiting, "waiting", error=FociscopeError)
        if not 1 <= self._waiting <= LARGEST_QUEUE:
            raise FociscopeError(
                f"waiting must be 1 to {LARGEST_QUEUE} captures; got {waiting}",
                fields=("waiting",),
                value=waiting,
                least=1,
                most=LARGEST_QUEUE,
            )
        self._reconstruct, self._on_map, self._on_error = reconstruct, on_map, on_error
        self._queue: deque[_Arrived] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._is_open = False
        self._received = self._done = self._dropped = self._failed = 0
        self._latency_s: deque[float] = deque(maxlen=LAST_MAPS)

    def start(self) -> None:
        """Begin to take captures.

        Raises:
            FociscopeError: If it was started before.
        """
        if self._worker is not None:
            raise FociscopeError(
                "this live reconstruction was started before; make another one to go on"
            )
        self._is_open = True
        self._worker = threading.Thread(target=self._work, name="fociscope-live", daemon=True)
        self._worker.start()

    def submit(
        self, capture: ArrayLike, sensor_b: ArrayLike | None = None, *, name: str = ""
    ) -> bool:
        """Take a capture, and return at once.

        Args:
            capture: (sensor, y, x) in any unit of light; or (y, x) of sensor A.
            sensor_b: (y, x) of sensor B, if `capture` is of sensor A alone.
            name: Name of the capture; without it, its number from 1 on.

        Returns:
            False if another capture was dropped for it.

        Raises:
            CaptureError: If the images are none, or differ in size.
            FociscopeError: If it is not running.
        """
        copied = _copied(capture, sensor_b)
        with self._changed:
            if not self._is_open:
                raise FociscopeError("the live reconstruction is not running; start it first")
            number = self._received
            self._received += 1
            is_full = len(self._queue) == self._waiting
            if is_full:
                self._queue.popleft()
                self._dropped += 1
            arrived = _Arrived(number, name or str(number + 1), copied, time.monotonic())
            self._queue.append(arrived)
            self._changed.notify_all()
        return not is_full

    def follow(self, captures: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]]) -> None:
        """Take captures from an iterable until it ends, such as `iter(take_a_pair, None)`.

        Args:
            captures: Captures (sensor, y, x), or pairs (y, x) of sensors A and B.

        Raises:
            CaptureError: If a capture is none.
            FociscopeError: If it is not running.
        """
        for capture in captures:
            if isinstance(capture, tuple):
                self.submit(*capture)
            else:
                self.submit(capture)

    def fail(self, name: str, error: Exception) -> None:
        """Count a frame that came and is no capture, and hand its error on.

        Args:
            name: Name of the frame.
            error: What is wrong with it.
        """
        with self._changed:
            self._received += 1
            self._failed += 1
        if self._on_error is not None:
            self._on_error(name, error)

    def stop(self, *, finish: bool = True, timeout_s: float | None = None) -> bool:
        """End: take no more captures, and wait for the worker.

        Args:
            finish: Whether captures that wait are reconstructed; else they count as dropped. The
                one in hand is finished in any case.
            timeout_s: Longest wait in s; None for as long as it takes.

        Returns:
            Whether the worker has ended.
        """
        with self._changed:
            self._is_open = False
            if not finish:
                self._dropped += len(self._queue)
                self._queue.clear()
            self._changed.notify_all()
        worker = self._worker
        if worker is None or worker is threading.current_thread():
            return worker is None
        worker.join(timeout_s)
        return not worker.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether captures are taken."""
        return self._is_open

    @property
    def statistics(self) -> LiveStatistics:
        """Numbers and latencies as of now."""
        with self._changed:
            last = np.array(self._latency_s)
            counts = self._received, self._done, self._dropped, self._failed
        if not len(last):
            return LiveStatistics(*counts)
        median, p90 = np.quantile(last, (0.5, 0.9))
        return LiveStatistics(*counts, median_s=float(median), p90_s=float(p90))

    def __enter__(self) -> LiveReconstruction[Result]:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; after an error, without the captures that wait."""
        self.stop(finish=kind is None)

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._is_open and not self._queue:
                    self._changed.wait()
                if not self._queue:
                    return
                arrived = self._queue.popleft()
            self._do(arrived)

    def _do(self, arrived: _Arrived) -> None:
        """Reconstruct one capture, and hand its map out; whatever fails is counted."""
        try:
            result = self._reconstruct(arrived.capture)
            latency = time.monotonic() - arrived.at_s
            self._on_map(LiveFrame(arrived.number, arrived.name, arrived.capture, result, latency))
        except Exception as error:  # a frame's, or of the caller's function: the loop goes on
            with self._changed:
                self._failed += 1
            if self._on_error is not None:
                self._hand_on(arrived.name, error)
            return
        with self._changed:
            self._done += 1
            self._latency_s.append(latency)

    def _hand_on(self, name: str, error: Exception) -> None:
        """Hand an error on; one of the handler itself ends nothing, and is shown by Python."""
        assert self._on_error is not None
        try:
            self._on_error(name, error)
        except Exception as further:
            args = threading.ExceptHookArgs(
                (type(further), further, further.__traceback__, threading.current_thread())
            )
            threading.excepthook(args)


def _copied(capture: ArrayLike, sensor_b: ArrayLike | None) -> Float32Array:
    """Return a copy (sensor, y, x): a camera's buffer is its own, and is used again."""
    first = _image(capture)
    if sensor_b is None:
        if first.ndim == 2:
            return first[None]
        if first.ndim == 3:
            return first
        raise CaptureError(
            f"a capture has the axes (sensor, y, x), or (y, x) of one sensor; got {first.shape}"
        )
    second = _image(sensor_b)
    if first.ndim != 2 or first.shape != second.shape:
        raise CaptureError(
            f"sensors A and B need images (y, x) of one size; got {first.shape} and {second.shape}"
        )
    return np.stack([first, second])


def _image(values: ArrayLike) -> Float32Array:
    return np.array(as_tensor(values).detach().cpu().numpy(), dtype=np.float32)
