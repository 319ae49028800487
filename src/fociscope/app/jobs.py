"""Work of a visitor off the event loop: one quick and one long job at a time, until the visit ends.

Whoever computes for minutes holds up nobody else: other visitors have jobs of their own, and the
system shares the processor among them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from fociscope.errors import FociscopeError

__all__ = ["Jobs", "LatestOnly", "VisitEnded", "in_thread", "running"]

P = ParamSpec("P")
T = TypeVar("T")

#: Threads, not processes: torch and NumPy let go of the interpreter while they compute, and a
#: process would first have to import torch, which takes longer than many reconstructions.
MOST_THREADS = 32
_threads = ThreadPoolExecutor(max_workers=MOST_THREADS, thread_name_prefix="fociscope")
_running: set[Future[object]] = set()


class VisitEnded(FociscopeError):
    """The visitor has left, so that nobody waits for this work any more."""


def running() -> int:
    """Return how many jobs are at work, or wait for a thread."""
    return len(_running)


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work off the event loop; dropped if it has not begun when its caller is cancelled."""
    future: Future[T] = _threads.submit(partial(work, *args, **kwargs))
    _running.add(future)  # type: ignore[arg-type]
    future.add_done_callback(_running.discard)
    return await asyncio.wrap_future(future)


class Jobs:
    """The jobs of one visitor."""

    def __init__(self) -> None:
        """Begin without any."""
        self._quick, self._long = asyncio.Lock(), asyncio.Lock()
        self._waiting: set[asyncio.Task[object]] = set()
        self._has_ended = threading.Event()

    async def quick(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what a visitor waits for, such as a map, after what was asked for before.

        Raises:
            CancelledError: If the visit ends.
        """
        return await self._run(self._quick, partial(work, *args, **kwargs))

    async def long(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what may take minutes, such as an archive, beside quick jobs.

        Raises:
            CancelledError: If the visit ends.
        """
        return await self._run(self._long, partial(work, *args, **kwargs))

    async def _run(self, turn: asyncio.Lock, work: Callable[[], T]) -> T:
        if self._has_ended.is_set():
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            async with turn:
                return await in_thread(self._unless_ended, work)
        finally:
            self._waiting.discard(task)

    def _unless_ended(self, work: Callable[[], T]) -> T:
        self.check()
        return work()

    def check(self, *_: object) -> None:
        """End a job, from within, if nobody waits for it; called with its progress.

        Raises:
            VisitEnded: If the visit has ended.
        """
        if self._has_ended.is_set():
            raise VisitEnded("the visit has ended")

    def end(self) -> None:
        """Drop the jobs that wait, and end those at work when they look at `check`."""
        self._has_ended.set()
        for task in tuple(self._waiting):
            task.cancel()


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
