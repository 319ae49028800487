"""The fixed pattern: how one chip's pixels differ from each other, in the same way in every frame.

Three kinds of difference are distinguished because they meet the light at different places (as in
the model of Konnik and Welsh, arXiv:1412.4031):

- gain: the photo response non-uniformity (PRNU of EMVA 1288), a factor on the light;
- offset: what a pixel's readout adds whatever the exposure, the dark signal non-uniformity (DSNU of
  EMVA 1288) of a short exposure; correlated double sampling takes it away;
- extra dark current: hot pixels; it grows with the exposure, brings shot noise of its own, and
  correlated double sampling leaves it.

A dead pixel is one whose gain is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fociscope.errors import ImagerError

__all__ = ["FixedPattern", "draw_fixed_pattern"]

#: Keeps the pattern's random numbers apart from a scene's that is drawn with the same seed.
STREAM = 0xF12ED


@dataclass(frozen=True, eq=False)
class FixedPattern:
    """The differences between the pixels of a chip's sensors, the same in every exposure.

    Examples:
        >>> from fociscope.imager import Camera
        >>> camera = Camera(prnu=0.01, dead_pixel_share=0.02)
        >>> pattern = camera.fixed_pattern(sensors=2, frame_px=(51, 51))
        >>> pattern.gain.shape
        torch.Size([2, 51, 51])
        >>> bool(pattern.dead.any()), bool(pattern.hot.any())
        (True, False)
    """

    gain: Tensor
    """(sensor, y, x) response to light relative to the mean pixel's, not negative; 0: dead."""
    offset_e: Tensor
    """(sensor, y, x) electrons that the readout adds; the mean pixel's are in the black level."""
    hot_e_per_s: Tensor
    """(sensor, y, x) dark current on top of the camera's; above 0 in hot pixels only."""

    def __post_init__(self) -> None:
        """Refuse an impossible pattern, such as a measured one.

        Raises:
            ImagerError: If the three shapes differ, a number is not finite, or a gain or dark
                current is negative.
        """
        shapes = [tuple(field.shape) for field in (self.gain, self.offset_e, self.hot_e_per_s)]
        if len(set(shapes)) != 1 or len(shapes[0]) != 3:
            raise ImagerError(
                "a fixed pattern's gain, offset and dark current need one shape (sensor, y, x); "
                f"got {', '.join(map(str, shapes))}"
            )
        if not (
            bool(torch.isfinite(self.offset_e).all())
            and all(
                bool((torch.isfinite(field) & (field >= 0)).all())
                for field in (self.gain, self.hot_e_per_s)
            )
        ):
            raise ImagerError(
                "a fixed pattern needs finite numbers, and gains and dark currents from 0 up; "
                "measure it again, or give a dead pixel the gain 0"
            )

    @property
    def dead(self) -> Tensor:
        """(sensor, y, x) bool: the pixel does not respond to light."""
        return self.gain == 0

    @property
    def hot(self) -> Tensor:
        """(sensor, y, x) bool: the pixel has more dark current than the others."""
        return self.hot_e_per_s > 0

    @property
    def usable(self) -> Tensor:
        """(sensor, y, x) bool: neither dead nor hot, so as good as its neighbours."""
        return ~(self.dead | self.hot)

    def matching(self, images: Tensor) -> FixedPattern:
        """Return the pattern on the device of images, after checking that it fits their shape.

        Args:
            images: (..., sensor, y, x) captures.

        Raises:
            ImagerError: If the images have other sensors or another frame.
        """
        ours, theirs = tuple(self.gain.shape), tuple(images.shape)
        if theirs[-3:] != ours:
            raise ImagerError(
                f"a fixed pattern of {ours} (sensor, y, x) does not fit images of {theirs}; "
                "take camera.fixed_pattern(sensors, frame_px) of the same sensors and frame"
            )
        if self.gain.device == images.device:
            return self
        return FixedPattern(
            self.gain.to(images.device),
            self.offset_e.to(images.device),
            self.hot_e_per_s.to(images.device),
        )


def draw_fixed_pattern(
    sensors: int,
    frame_px: tuple[int, int],
    *,
    seed: int,
    prnu: float,
    dsnu_e: float,
    hot_pixel_share: float,
    hot_pixel_e_per_s: float,
    dead_pixel_share: float,
) -> FixedPattern:
    """Draw the pattern of a chip.

    Each sensor has random numbers of its own, and each kind of difference is drawn whether it is
    wanted or not: neither another sensor nor another kind changes what a pixel is like.

    Args:
        sensors: Number of sensors.
        frame_px: (y, x) pixels of each.
        seed: Seed of the chip.
        prnu: Relative standard deviation of the gain, which is normally distributed.
        dsnu_e: Standard deviation of the offset in electrons, which is normally distributed.
        hot_pixel_share: Share of hot pixels.
        hot_pixel_e_per_s: Mean of the hot pixels' extra dark current, which is exponentially
            distributed: most are dim and few are bright (an assumption).
        dead_pixel_share: Share of dead pixels; none of them is hot.

    Returns:
        Float32 fields of (sensor, y, x).

    Raises:
        ImagerError: If there is no sensor, or the frame has no pixels.
    """
    if sensors < 1 or min(frame_px) < 1:
        raise ImagerError(
            f"a fixed pattern needs sensors and pixels; got {sensors} of {frame_px} pixels (y, x)"
        )
    gains, offsets, currents = [], [], []
    for sensor in range(sensors):
        rng = np.random.default_rng([seed, sensor, STREAM])
        gain = np.maximum(1 + prnu * rng.standard_normal(frame_px), 0)
        offset_e = dsnu_e * rng.standard_normal(frame_px)
        fate = rng.random(frame_px)
        hot_e_per_s = hot_pixel_e_per_s * rng.standard_exponential(frame_px)
        dead = fate < dead_pixel_share
        hot = ~dead & (fate < dead_pixel_share + hot_pixel_share)
        gains.append(np.where(dead, 0, gain))
        offsets.append(offset_e)
        currents.append(np.where(hot, hot_e_per_s, 0))
    fields = (np.stack(field).astype(np.float32) for field in (gains, offsets, currents))
    return FixedPattern(*map(torch.from_numpy, fields))
