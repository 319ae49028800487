"""Threads of torch: held to one, given back, and one for each part of much work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Barrier

import pytest
import torch

from fociscope.threads import map_on_threads, one_thread


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_torch_has_its_threads_back_after_the_last_of_overlapping_blocks() -> None:
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_torch_has_its_threads_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


def test_parts_are_worked_on_at_a_time() -> None:
    meeting = Barrier(2, timeout=20)  # breaks if one part waits for the end of the other

    def work(part: int) -> int:
        meeting.wait()
        return 10 * part

    assert list(map_on_threads(work, range(4), threads=2)) == [0, 10, 20, 30]


def test_each_part_has_one_thread_of_torch() -> None:
    assert list(map_on_threads(lambda _: torch.get_num_threads(), range(4), threads=2)) == [1] * 4
    assert torch.get_num_threads() == 3


def test_an_error_ends_the_work() -> None:
    begun = []

    def work(part: int) -> None:
        begun.append(part)
        if part == 0:
            raise ValueError("the first one failed")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="the first one failed"):
        list(map_on_threads(work, range(100), threads=2))
    assert len(begun) < 100
    assert torch.get_num_threads() == 3
