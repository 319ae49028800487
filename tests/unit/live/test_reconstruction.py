"""A live reconstruction: the newest frame wins, dropped ones are counted, nothing ends the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from fociscope.errors import CaptureError, FociscopeError
from fociscope.live import LiveFrame, LiveReconstruction
from fociscope.typing import Float32Array

PATIENCE_S = 30.0


def capture(value: float = 0.0) -> Float32Array:
    return np.full((2, 4, 5), value, np.float32)


def total(image: Float32Array) -> float:
    return float(image.mean())


class Gate:
    """A reconstruction that waits until it is let through, and says when it has begun."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self, image: Float32Array) -> float:
        self.begun.set()
        assert self.opened.wait(PATIENCE_S)
        return total(image)


def ignore(_: object) -> None:
    pass


def test_each_frame_comes_out_in_order_with_its_name_and_its_own_light() -> None:
    frames: list[LiveFrame[float]] = []
    with LiveReconstruction(total, frames.append, waiting=10) as live:
        for value in (1.0, 2.0, 3.0):
            live.submit(capture(value), name=f"value {value:g}")

    assert [frame.result for frame in frames] == [1.0, 2.0, 3.0]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert [frame.name for frame in frames] == ["value 1", "value 2", "value 3"]


def test_the_newest_frame_wins_and_the_dropped_ones_are_counted() -> None:
    frames: list[LiveFrame[float]] = []
    gate = Gate()
    with LiveReconstruction(gate, frames.append) as live:
        kept = [live.submit(capture(0.0))]
        assert gate.begun.wait(PATIENCE_S)
        kept += [live.submit(capture(value)) for value in (1.0, 2.0, 3.0, 4.0)]
        assert live.statistics.dropped == 3
        assert live.statistics.in_hand == 2
        gate.opened.set()

    assert kept == [True, True, False, False, False]
    assert [frame.result for frame in frames] == [0.0, 4.0]
    statistics = live.statistics
    assert (statistics.received, statistics.done, statistics.dropped) == (5, 2, 3)
    assert statistics.in_hand == 0
    assert "3 dropped under load" in str(statistics)


def test_a_frame_that_fails_is_named_and_the_next_goes_on() -> None:
    def refuse_negative(image: Float32Array) -> float:
        if image.min() < 0:
            raise CaptureError("negative light")
        return total(image)

    frames: list[LiveFrame[float]] = []
    errors: list[tuple[str, str]] = []
    with LiveReconstruction(
        refuse_negative,
        frames.append,
        on_error=lambda name, error: errors.append((name, str(error))),
        waiting=10,
    ) as live:
        for value in (1.0, -1.0, 3.0):
            live.submit(capture(value))

    assert [frame.result for frame in frames] == [1.0, 3.0]
    assert errors == [("2", "negative light")]
    assert (live.statistics.done, live.statistics.failed) == (2, 1)


def test_a_map_that_cannot_be_taken_counts_as_failed() -> None:
    def break_down(_: object) -> None:
        raise RuntimeError("the display is gone")

    with LiveReconstruction(total, break_down, waiting=2) as live:
        live.submit(capture())
        live.submit(capture())

    assert (live.statistics.done, live.statistics.failed) == (0, 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_the_handler_of_errors_ends_nothing() -> None:
    def refuse(_: Float32Array) -> float:
        raise ValueError("no map")

    def worse(name: str, error: Exception) -> None:
        raise RuntimeError(f"{name}: {error}")

    with LiveReconstruction(refuse, ignore, on_error=worse, waiting=2) as live:
        live.submit(capture())
        live.submit(capture())

    assert live.statistics.failed == 2


def test_a_buffer_that_the_camera_uses_again_is_not_read_twice() -> None:
    frames: list[LiveFrame[float]] = []
    gate = Gate()
    buffer = capture(7.0)
    with LiveReconstruction(gate, frames.append) as live:
        live.submit(buffer)
        buffer[:] = 9.0
        gate.opened.set()

    assert [frame.result for frame in frames] == [7.0]


def test_stopping_at_once_drops_what_waits_and_finishes_what_is_in_hand() -> None:
    frames: list[LiveFrame[float]] = []
    gate = Gate()
    live = LiveReconstruction(gate, frames.append, waiting=5)
    live.start()
    live.submit(capture(1.0))
    assert gate.begun.wait(PATIENCE_S)
    live.submit(capture(2.0))

    assert not live.stop(finish=False, timeout_s=0.01), "one is in hand"
    gate.opened.set()
    assert live.stop(timeout_s=PATIENCE_S)

    assert [frame.result for frame in frames] == [1.0]
    assert live.statistics.dropped == 1
    with pytest.raises(FociscopeError, match="not running"):
        live.submit(capture())


def test_a_loop_is_started_once() -> None:
    with (
        LiveReconstruction(total, ignore) as live,
        pytest.raises(FociscopeError, match="started before"),
    ):
        live.start()


def test_latency_is_that_of_the_frames_wait_and_its_map() -> None:
    def slow(_: Float32Array) -> float:
        time.sleep(0.05)
        return 0.0

    frames: list[LiveFrame[float]] = []
    with LiveReconstruction(slow, frames.append, waiting=3) as live:
        for _ in range(3):
            live.submit(capture())

    assert frames[0].latency_s >= 0.05
    assert frames[2].latency_s >= 0.15, "it waited for two others"
    assert live.statistics.median_s == pytest.approx(frames[1].latency_s)
    assert live.statistics.median_s < live.statistics.p90_s <= frames[2].latency_s


def test_pairs_of_a_callback_are_followed_to_their_end() -> None:
    left = [(np.full((4, 5), a), np.full((4, 5), b)) for a, b in ((1.0, 3.0), (5.0, 7.0))]

    def take() -> tuple[np.ndarray, np.ndarray] | None:
        return left.pop(0) if left else None

    frames: list[LiveFrame[float]] = []
    with LiveReconstruction(total, frames.append, waiting=5) as live:
        live.follow(iter(take, None))

    assert [frame.capture.shape for frame in frames] == [(2, 4, 5)] * 2
    assert [frame.result for frame in frames] == [2.0, 6.0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ((np.zeros((4, 5)), np.zeros((4, 6))), "of one size"),
        ((np.zeros((2, 4, 5)), np.zeros((4, 5))), "of one size"),
        ((np.zeros(4),), "axes"),
    ],
)
def test_what_is_no_capture_is_refused(images: tuple[np.ndarray, ...], message: str) -> None:
    with (
        LiveReconstruction(total, ignore) as live,
        pytest.raises(CaptureError, match=message),
    ):
        live.submit(*images)


@pytest.mark.parametrize("waiting", [0, 1025, 1.5])
def test_a_queue_has_a_size(waiting: int) -> None:
    with pytest.raises(FociscopeError, match="waiting must be"):
        LiveReconstruction(total, ignore, waiting=waiting)


def test_a_map_of_the_network_is_that_of_the_model(model_maps: Callable[[], list[float]]) -> None:
    live, direct = model_maps()

    assert live == pytest.approx(direct)
