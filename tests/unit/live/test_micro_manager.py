"""Frames of a Micro-Manager core become captures; with a core of our own, and with the real one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.live import LiveFrame, LiveReconstruction, MicroManagerListener
from fociscope.typing import Float32Array


class Signal:
    """A signal of psygnal, as far as it is used: slots are called in the emitter's thread."""

    def __init__(self) -> None:
        self.slots: list[Callable[..., object]] = []

    def connect(self, slot: Callable[..., object]) -> None:
        self.slots.append(slot)

    def disconnect(self, slot: Callable[..., object]) -> None:
        self.slots.remove(slot)

    def emit(self, *values: object) -> None:
        for slot in self.slots:
            slot(*values)


class Core:
    """A core with the cameras Top and Bottom, and the signals that the listener uses."""

    def __init__(self) -> None:
        self.running = False
        self.images: dict[str, np.ndarray] = {}
        self.mda = SimpleNamespace(
            events=SimpleNamespace(frameReady=Signal(), sequenceFinished=Signal()),
            is_running=lambda: self.running,
        )
        self.events = SimpleNamespace(imageSnapped=Signal())

    def getLoadedDevices(self) -> tuple[str, ...]:
        return "Top", "Bottom", "Core"

    def getNumberOfCameraChannels(self) -> int:
        return len(self.images)

    def getPhysicalCameraDevice(self, number: int) -> str:
        return list(self.images)[number]

    def getImage(self, number: int) -> np.ndarray:
        return list(self.images.values())[number]

    def frame(self, camera: str, value: float, **index: int) -> None:
        image = np.full((4, 5), value, np.uint16)
        event = SimpleNamespace(index=index)
        self.mda.events.frameReady.emit(image, event, {"camera_device": camera})

    def snap(self, **values: float) -> None:
        self.images = {name: np.full((4, 5), value) for name, value in values.items()}
        self.events.imageSnapped.emit(next(iter(values)))


class Listening:
    """A listener with a core of ours, and the captures that came of it."""

    def __init__(self, **options: Any) -> None:
        self.core = Core()
        self.frames: list[LiveFrame[list[float]]] = []
        self.errors: list[str] = []
        self.live = LiveReconstruction(
            self.light,
            self.frames.append,
            on_error=lambda name, error: self.errors.append(f"{name}: {error}"),
            waiting=100,
        )
        self.listener = MicroManagerListener(self.core, self.live, **options)

    @staticmethod
    def light(capture: Float32Array) -> list[float]:
        return [float(image.mean()) for image in capture]

    def __enter__(self) -> Listening:
        self.live.start()
        self.listener.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.disconnect()
        self.live.stop()

    @property
    def results(self) -> list[list[float]]:
        return [frame.result for frame in self.frames]


def test_frames_of_two_cameras_are_paired_by_their_moment_in_any_order() -> None:
    with Listening(cameras=("Top", "Bottom")) as heard:
        heard.core.frame("Top", 1, t=0, cam=0)
        heard.core.frame("Bottom", 2, t=0, cam=1)
        heard.core.frame("Bottom", 4, t=1, cam=1)
        heard.core.frame("Top", 3, t=1, cam=0)

    assert heard.results == [[1.0, 2.0], [3.0, 4.0]]
    assert [frame.name for frame in heard.frames] == ["t 0", "t 1"]
    assert heard.listener.unpaired == 0


def test_the_first_label_is_sensor_a() -> None:
    with Listening(cameras=("Bottom", "Top")) as heard:
        heard.core.frame("Top", 1, t=0)
        heard.core.frame("Bottom", 2, t=0)

    assert heard.results == [[2.0, 1.0]]


def test_frames_of_two_moments_are_never_paired() -> None:
    with Listening(cameras=("Top", "Bottom")) as heard:
        heard.core.frame("Top", 1, t=0)
        heard.core.frame("Bottom", 2, t=1)
        heard.core.mda.events.sequenceFinished.emit(None)
        heard.core.frame("Bottom", 3, t=0)

    assert heard.results == []
    assert heard.listener.unpaired == 3


def test_partners_that_never_come_are_given_up_and_do_not_gather() -> None:
    with Listening(cameras=("Top", "Bottom")) as heard:
        for t in range(40):
            heard.core.frame("Top", 1, t=t)
        assert len(heard.listener._partial) == 16

    assert heard.listener.unpaired == 40


def test_regions_of_one_camera_are_sensors() -> None:
    with Listening(cameras=("Top",), regions=((0, 0, 4, 2), (0, 3, 4, 2))) as heard:
        image = np.zeros((4, 5))
        image[:, :2], image[:, 3:] = 1, 2
        event = SimpleNamespace(index={"t": 0})
        heard.core.mda.events.frameReady.emit(image, event, {"camera_device": "Top"})

    assert heard.results == [[1.0, 2.0]]
    assert heard.frames[0].capture.shape == (2, 4, 2)


def test_an_image_that_regions_do_not_fit_fails_and_the_acquisition_goes_on() -> None:
    with Listening(cameras=("Top",), regions=((0, 0, 4, 9),)) as heard:
        heard.core.frame("Top", 1, t=0)
        heard.core.frame("Top", 1, t=1)

    assert heard.live.statistics.failed == 2
    assert "lies beyond" in heard.errors[0]


def test_frames_of_other_cameras_are_ignored() -> None:
    with Listening(cameras=("Top",)) as heard:
        heard.core.frame("Bottom", 1, t=0)
        heard.core.frame("Top", 2, t=0)

    assert heard.results == [[2.0]]
    assert heard.listener.ignored == 1


def test_snaps_of_two_cameras_one_after_the_other_are_a_capture() -> None:
    with Listening(cameras=("Top", "Bottom")) as heard:
        heard.core.snap(Top=1.0)
        heard.core.snap(Bottom=2.0)

    assert heard.results == [[1.0, 2.0]]


def test_a_snap_of_both_cameras_is_a_capture() -> None:
    with Listening(cameras=("Top", "Bottom")) as heard:
        heard.core.snap(Top=1.0, Bottom=2.0)

    assert heard.results == [[1.0, 2.0]]


def test_snaps_of_an_acquisition_are_not_counted_twice() -> None:
    with Listening(cameras=("Top",)) as heard:
        heard.core.running = True
        heard.core.snap(Top=1.0)
        heard.core.frame("Top", 1, t=0)

    assert heard.results == [[1.0]]


def test_nothing_comes_after_it_has_disconnected() -> None:
    with Listening(cameras=("Top",)) as heard:
        heard.listener.disconnect()
        heard.core.frame("Top", 1, t=0)
        heard.core.snap(Top=1.0)
        heard.listener.connect()

    assert heard.results == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ()}, "0 camera"),
        ({"cameras": ("Top", "Top")}, "different labels"),
        ({"cameras": ("Left",)}, "no device 'Left'; its devices are: Top, Bottom"),
        ({"cameras": ("Top", "Bottom"), "regions": ((0, 0, 2, 2),)}, "no regions"),
        ({"cameras": ("Top",), "regions": ((0, 0, 2, 2), (0, 2, 2, 3))}, "equal height"),
        ({"cameras": ("Top",), "regions": ((-1, 0, 2, 2),)}, "from 0 on"),
    ],
)
def test_cameras_that_make_no_capture_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FociscopeError, match=message):
        Listening(**options)


class Demo:
    """The demo cameras of Micro-Manager in a real core, and what came of their frames."""

    def __init__(self) -> None:
        plus = pytest.importorskip("pymmcore_plus", reason="pip install '.[live]'")
        adapters = pytest.importorskip("mm_test_adapters", reason="no device adapters here")
        with pytest.MonkeyPatch.context() as patch:
            # Where an earlier test has begun a Qt application, frames would wait for its loop.
            patch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
            self.core = plus.CMMCorePlus()
            self.core.mda.events  # noqa: B018 - made here, by the same backend
        self.core.setDeviceAdapterSearchPaths([adapters.device_adapter_path()])
        for label in ("Top", "Bottom"):
            self.core.loadDevice(label, "DemoCamera", "DCam")
        self.core.loadDevice("Both", "Utilities", "Multi Camera")
        self.core.initializeAllDevices()
        self.core.setProperty("Bottom", "Mode", "Noise")
        self.core.setProperty("Both", "Physical Camera 1", "Top")
        self.core.setProperty("Both", "Physical Camera 2", "Bottom")
        self.frames: list[LiveFrame[tuple[int, ...]]] = []

    def hear(self, work: Callable[[], None], **options: Any) -> LiveReconstruction[Any]:
        live = LiveReconstruction(lambda capture: capture.shape, self.frames.append, waiting=50)
        with live, MicroManagerListener(self.core, live, **options):
            work()
        return live

    def acquire(self, times: int) -> None:
        useq = pytest.importorskip("useq")
        sequence = useq.MDASequence(time_plan={"interval": 0, "loops": times})
        thread = self.core.run_mda(sequence)
        thread.join()


def test_an_acquisition_of_two_demo_cameras_is_as_many_captures() -> None:
    demo = Demo()
    demo.core.setCameraDevice("Both")

    live = demo.hear(lambda: demo.acquire(4), cameras=("Top", "Bottom"))

    assert [frame.result for frame in demo.frames] == [(2, 512, 512)] * 4
    assert [frame.name for frame in demo.frames] == ["t 0", "t 1", "t 2", "t 3"]
    assert live.statistics.failed == live.statistics.dropped == 0
    for frame in demo.frames:  # waves on Top; on Bottom, noise on an offset that fills the pixels
        assert frame.capture[1].mean() > 2 * frame.capture[0].mean()


def test_a_snap_of_a_demo_camera_gives_both_of_its_regions() -> None:
    demo = Demo()
    demo.core.setCameraDevice("Top")

    demo.hear(demo.core.snapImage, cameras=("Top",), regions=((0, 0, 51, 51), (0, 100, 51, 51)))

    (frame,) = demo.frames
    assert frame.result == (2, 51, 51)
    image = demo.core.getImage()
    np.testing.assert_array_equal(frame.capture[1], image[:51, 100:151].astype(np.float32))
