"""Micro-Manager without files: frames of `pymmcore-plus` become captures of sensors A and B.

A core tells of each frame of an acquisition (`frameReady`) and of each snap (`imageSnapped`). The
listener says which camera, or which region of one, is which sensor, pairs A with B, and leaves the
pair with a `LiveReconstruction`. It never makes the acquisition wait, and never raises into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fociscope.errors import CaptureError, FociscopeError, printable
from fociscope.live.reconstruction import LiveReconstruction

__all__ = ["MicroManagerListener"]

#: Frames that wait for the other sensor's; of more, the oldest is given up.
MOST_UNPAIRED = 16
#: Axes of an acquisition that tell cameras apart, not moments.
OF_CAMERAS = frozenset({"cam", "c"})

Image: TypeAlias = npt.NDArray[Any]
#: y, x, height and width of a sensor's part of an image, pixels.
Region: TypeAlias = tuple[int, int, int, int]


class MicroManagerListener:
    """Hands the frames of a running Micro-Manager core to a live reconstruction.

    Examples:
        >>> from fociscope.live import LiveReconstruction, MicroManagerListener
        >>> from pymmcore_plus import CMMCorePlus  # doctest: +SKIP
        >>> core = CMMCorePlus.instance()  # doctest: +SKIP
        >>> live = LiveReconstruction(model.reconstruct, show)  # doctest: +SKIP
        >>> listener = MicroManagerListener(core, live, cameras=("A", "B"))  # doctest: +SKIP
        >>> with live, listener:  # doctest: +SKIP
        ...     core.run_mda(sequence, block=True)
    """

    def __init__(
        self,
        core: Any,
        live: LiveReconstruction[Any],
        *,
        cameras: Sequence[str],
        regions: Sequence[Region] = (),
    ) -> None:
        """Prepare; `connect`, or `with`, begins.

        Args:
            core: `pymmcore_plus.CMMCorePlus`, or another object with its signals.
            live: Running live reconstruction that takes the captures.
            cameras: Labels of the cameras of sensors A and B, as the core knows them; one label
                where one camera sees both, or where there is sensor A alone.
            regions: y, x, height and width in pixels of each sensor in the image of the one
                camera; none where its whole image is sensor A's.

        Raises:
            FociscopeError: If cameras or regions do not fit one another, or the core knows no
                camera of that label.
        """
        self._cameras = tuple(cameras)
        self._regions = tuple(regions)
        _check(self._cameras, self._regions)
        known = tuple(core.getLoadedDevices())
        for label in self._cameras:
            if label not in known:
                raise FociscopeError(
                    f"the core has no device {printable(label)!r}; its devices are: "
                    f"{', '.join(map(printable, known))}",
                    fields=("cameras",),
                    value=label,
                    choices=known,
                )
        self._core, self._live = core, live
        self._partial: dict[object, dict[str, Image]] = {}
        self._lock = Lock()  # frames come in the acquisition's thread, snaps in the caller's
        self.unpaired = 0
        """Frames of one sensor whose partner never came."""
        self.ignored = 0
        """Frames of cameras that are no sensor's."""

    def connect(self) -> None:
        """Listen to the core's frames and snaps."""
        self._core.mda.events.frameReady.connect(self._on_frame)
        self._core.mda.events.sequenceFinished.connect(self._on_finished)
        self._core.events.imageSnapped.connect(self._on_snap)

    def disconnect(self) -> None:
        """Listen no more; frames without a partner are given up."""
        self._core.mda.events.frameReady.disconnect(self._on_frame)
        self._core.mda.events.sequenceFinished.disconnect(self._on_finished)
        self._core.events.imageSnapped.disconnect(self._on_snap)
        self._give_up()

    def __enter__(self) -> MicroManagerListener:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self.disconnect()

    def _on_frame(self, image: Image, event: Any, meta: Mapping[str, Any]) -> None:
        """Take a frame of an acquisition, in the acquisition's thread."""
        index = dict(getattr(event, "index", {}) or {})
        moment = tuple(sorted((k, v) for k, v in index.items() if k not in OF_CAMERAS))
        name = ", ".join(f"{axis} {number}" for axis, number in moment)
        self._take(str(meta.get("camera_device", "")), image, moment, name)

    def _on_finished(self, *_: object) -> None:
        self._give_up()

    def _on_snap(self, *_: object) -> None:
        """Take the image or images of a snap; those of an acquisition come as frames."""
        core = self._core
        if core.mda.is_running():
            return
        for number in range(core.getNumberOfCameraChannels()):
            label = core.getPhysicalCameraDevice(number)
            self._take(label, core.getImage(number), "snap", "snap")

    def _take(self, camera: str, image: Image, moment: object, name: str) -> None:
        """Take one camera's image; with its partner, or its own regions, it is a capture."""
        if camera not in self._cameras:
            self.ignored += 1
            return
        try:
            if len(self._cameras) == 1:
                self._live.submit(self._sensors_of(np.asarray(image)), name=name)
            else:
                pair = self._paired(camera, image, moment)
                if pair is not None:
                    self._live.submit(*pair, name=name)
        except FociscopeError as error:  # nothing may end the acquisition
            self._live.fail(name, error)

    def _paired(self, camera: str, image: Image, moment: object) -> list[Image] | None:
        """Return the images of A and B if this one completes them; else it waits."""
        with self._lock:
            waiting = self._partial.setdefault(moment, {})
            self.unpaired += camera in waiting  # a newer image of the same sensor takes its place
            waiting[camera] = np.array(image)
            if len(waiting) == len(self._cameras):
                del self._partial[moment]
                return [waiting[label] for label in self._cameras]
            if len(self._partial) > MOST_UNPAIRED:
                self.unpaired += len(self._partial.pop(next(iter(self._partial))))
        return None

    def _sensors_of(self, image: Image) -> Image:
        """Return (sensor, y, x) the sensors' parts of one camera's image."""
        if image.ndim != 2:
            raise CaptureError(f"a grey image (y, x) is expected; the camera gave {image.shape}")
        if not self._regions:
            return image[None]
        parts = []
        for y, x, height, width in self._regions:
            if y + height > image.shape[0] or x + width > image.shape[1]:
                raise CaptureError(
                    f"the region {y},{x},{height},{width} lies beyond the camera's image of "
                    f"{image.shape[0]}x{image.shape[1]} pixels"
                )
            parts.append(image[y : y + height, x : x + width])
        return np.stack(parts)

    def _give_up(self) -> None:
        with self._lock:
            self.unpaired += sum(len(waiting) for waiting in self._partial.values())
            self._partial.clear()


def _check(cameras: tuple[str, ...], regions: tuple[Region, ...]) -> None:
    """Refuse cameras and regions that make no capture of one or two sensors."""
    if not 1 <= len(cameras) <= 2 or len(set(cameras)) < len(cameras):
        raise FociscopeError(
            f"{len(cameras)} camera(s) {cameras}; expected one, or two of different labels",
            fields=("cameras",),
        )
    if regions and len(cameras) == 2:
        raise FociscopeError(
            "regions are parts of one camera's image; give one camera, or no regions",
            fields=("cameras", "regions"),
        )
    if len(regions) > 2 or len({region[2:] for region in regions}) > 1:
        raise FociscopeError(
            "one or two regions of equal height and width are expected, sensor A's first; got "
            f"{list(regions)}",
            fields=("regions",),
        )
    if any(min(region[:2]) < 0 or min(region[2:]) < 1 for region in regions):
        raise FociscopeError(
            f"regions are y, x from 0 on, with height and width from 1 on; got {list(regions)}",
            fields=("regions",),
        )
