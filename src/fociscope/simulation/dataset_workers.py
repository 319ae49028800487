"""Scenes from all cores, in their order, whatever the number of workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import torch

from fociscope.errors import SceneError
from fociscope.simulation.scene import Scenes, simulate

__all__ = ["Job", "available_cores", "simulated"]

_CHUNKS_AHEAD = 6  # per worker, for the while that the reader writes a file


@dataclass(frozen=True)
class Job:
    """Some scenes to simulate."""

    first: int
    count: int
    settings: dict[str, Any]


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def simulated(jobs: Sequence[Job], workers: int) -> Iterator[Iterator[Scenes]]:
    """Yield the jobs' scenes in their order, with at most a few chunks ahead of the reader."""
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield map(_run, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)

    def ahead() -> Iterator[Scenes]:
        window = _CHUNKS_AHEAD * workers
        with _ctrl_c_held_back():  # starts the workers
            waiting = [pool.submit(_run, job) for job in jobs[:window]]
        following = iter(jobs[window:])
        while waiting:
            scenes = waiting.pop(0).result()
            waiting.extend(pool.submit(_run, job) for job in [next(following, None)] if job)
            yield scenes

    try:
        yield ahead()
    except BrokenProcessPool:
        raise SceneError(
            "a worker process was killed, mostly for want of memory; ask for fewer workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run(job: Job) -> Scenes:
    """Simulate on one thread, because sums over several depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return simulate(job.count, first=job.first, **job.settings)
    finally:
        torch.set_num_threads(before)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Start processes that leave Ctrl-C to their parent from their first moment on.

    They inherit the mask; the parent hears of a Ctrl-C a moment later. Windows has no masks.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it: a killed parent closes no queue."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
