"""Threads of torch: one for little work, and one for each part of much work.

Torch divides each operation among all its threads, and these wait for one another at the end of
each. For images of a few thousand pixels the waiting takes as long as the work, and several times
as long where other programs use the same cores. So one image is computed by one thread, and many
images are divided into parts, each of which one thread computes from beginning to end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TypeVar

import torch

__all__ = ["map_on_threads", "one_thread"]

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class _Users:
    """How many blocks hold torch to one thread now, and how many it had before the first."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = 0
        self.before = 1


_users = _Users()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on the calling thread alone within the block.

    Blocks of several threads may overlap; torch has its threads back after the last of them.

    Examples:
        >>> import torch
        >>> from fociscope.threads import one_thread
        >>> with one_thread():
        ...     print(torch.get_num_threads())
        1
    """
    with _users.lock:
        if _users.count == 0:
            _users.before = torch.get_num_threads()
        _users.count += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _users.lock:
            _users.count -= 1
            torch.set_num_threads(_users.before)


def map_on_threads(
    work: Callable[[Part], Answer], parts: Sequence[Part], threads: int
) -> Iterator[Answer]:
    """Do work on each part, several parts at a time, on one thread each.

    The answers hang neither on the number of threads nor on which of them computes a part. An error
    ends the work: what has begun is finished, and nothing else is begun.

    Args:
        work: Function of one part.
        parts: Arguments of `work`.
        threads: How many parts at a time.

    Yields:
        The answers, in the order of the parts.

    Examples:
        >>> from fociscope.threads import map_on_threads
        >>> list(map_on_threads(abs, [-1, 2, -3], threads=2))
        [1, 2, 3]
    """
    threads = min(len(parts), threads)
    with one_thread():
        if threads <= 1:
            yield from map(work, parts)
            return
        waiting = [_pool(threads).submit(work, part) for part in parts]
        try:
            for each in waiting:
                yield each.result()
        finally:
            for each in waiting:
                each.cancel()
            wait(waiting)


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that stay, since each makes oneDNN's kernels anew for itself."""
    return ThreadPoolExecutor(threads, "fociscope", torch.set_num_threads, (1,))


if hasattr(os, "register_at_fork"):  # a child has none of the threads; Windows does not fork
    os.register_at_fork(after_in_child=_pool.cache_clear)
