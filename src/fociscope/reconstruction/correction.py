"""Chip correction: dark frames, flat frames and bad pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor
from fociscope.errors import CaptureError
from fociscope.imager import Imager
from fociscope.reconstruction.checks import light_unit
from fociscope.typing import BoolArray

__all__ = ["ChipCorrection", "filled", "find_bad_pixels"]

#: A pixel whose response lies below this share of its sensor's median is as good as dead.
DEAD_RESPONSE = 0.2
#: Share of a dark frame's pixels that are taken for its electronic level.
DARKEST = 0.02
#: Within this many pixels, good neighbours stand in for a bad one.
REACH_PX = 2
#: A pixel is bad where it lies this many deviations of its neighbourhood outside all neighbours.
OUTLYING = 12.0


@dataclass(frozen=True)
class ChipCorrection:
    r"""Removes the fixed pattern of a chip from captures.

    With the dark frame $d$ and the flat frame $f$, a capture $c$ becomes

    $$ c' = (c - d) \,/\, \frac{f - d}{\langle f - d \rangle}, $$

    the mean taken over the good pixels of each sensor; bad pixels are filled with the weighted mean
    of the good ones around them.

    Attributes:
        dark: Frame without light, in the captures' unit and at their exposure; None for 0.
        flat: Frame of even light, its dark frame not subtracted; None for an even response.
        bad_pixels: Frame that is not 0 where a pixel is hot, dead or otherwise unusable; None for
            no such pixel.
        black_level_counts: Level that is subtracted where there is no dark frame.

    Each frame is (sensor, y, x), or (frame, sensor, y, x) of which the mean over frames is taken,
    or (y, x) for sensor A alone; (sensor, 1, 1) is a number for each sensor.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from fociscope.reconstruction import ChipCorrection
        >>> correction = ChipCorrection(dark=np.full((1, 32, 32), 5.0))
        >>> corrected, bad = correction(torch.full((1, 32, 32), 7.0))
        >>> float(corrected.mean()), bool(bad.any())
        (2.0, False)
    """

    dark: ArrayLike | None = None
    flat: ArrayLike | None = None
    bad_pixels: ArrayLike | None = None
    black_level_counts: float = 0.0

    def __call__(self, captures: Tensor, *, dead: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return corrected captures and the bad pixels.

        Args:
            captures: (..., sensor, y, x). Bad pixels may hold any value, NaN included; they are
                filled with the mean of their good neighbours, the near ones before the far ones.
            dead: (sensor, y, x) True at further bad pixels, such as those of the imager; None for
                none.

        Returns:
            (..., sensor, y, x) corrected captures, and (sensor, y, x) True at bad pixels.

        Raises:
            CaptureError: If a frame has another shape, or if a sensor has no good pixel.
        """
        shape = captures.shape[-3:]
        bad = torch.zeros(shape, dtype=torch.bool, device=captures.device)
        dark = self._frame("dark", self.dark, captures)
        flat = self._frame("flat", self.flat, captures)
        given = self._frame("bad-pixel", self.bad_pixels, captures)
        if given is not None:
            bad |= given != 0
        if dead is not None:
            bad |= dead.to(bad.device)
        if dark is not None:
            bad |= ~torch.isfinite(dark)
            captures = captures - dark.nan_to_num()
        elif self.black_level_counts:
            captures = captures - self.black_level_counts
        if flat is not None:
            response = flat - (self.black_level_counts if dark is None else dark)
            response, dead = _relative(response, bad)
            bad |= dead
            captures = captures / response
        if bool(bad.any()):
            captures = filled(captures, bad)
        return captures, bad

    @cached_property
    def dark_light(self) -> Tensor | None:
        """(sensor, y, x) what the dark frame holds above its darkest pixels.

        It is the dark current and the light that is there without a specimen: subtracted, but its
        noise stays. (sensor, 1, 1) zeros where the dark frame is a number; None without one.
        """
        if self.dark is None:
            return None
        dark = as_tensor(self.dark)
        frame = self._frame("dark", dark, dark if dark.ndim > 2 else dark[None])
        assert frame is not None  # a dark frame is given
        frame = frame.double().nan_to_num()
        level = np.quantile(frame.flatten(1).numpy(), DARKEST, axis=1)
        return frame - torch.from_numpy(level)[:, None, None]

    @staticmethod
    def _frame(what: str, given: ArrayLike | None, captures: Tensor) -> Tensor | None:
        if given is None:
            return None
        frame, shape = as_tensor(given).to(captures), tuple(captures.shape[-3:])
        if frame.ndim == 2:
            frame = frame[None]
        if frame.ndim > 3:
            frame = frame.reshape(-1, *frame.shape[-3:])
            frame = frame.amax(dim=0) if what == "bad-pixel" else frame.mean(dim=0)
        if tuple(frame.shape) in ((1, 1, 1), (shape[0], 1, 1)):  # a number for each sensor
            frame = frame.expand(shape)
        if tuple(frame.shape) != shape:
            raise CaptureError(
                f"the {what} frame has the shape {tuple(frame.shape)}; the captures' is {shape} "
                "(sensor, y, x), and both must be alike"
            )
        return frame


def dead_pixels(imager: Imager, shape: tuple[int, ...]) -> Tensor | None:
    """Return (sensor, y, x) True at the pixels that an imager states as dead; None for none.

    Args:
        imager: Imager of the captures.
        shape: (..., sensor, y, x) of the captures.

    Raises:
        CaptureError: If the captures have another frame than the imager, whose pixels are counted
            in its own.
    """
    own = [place for place in imager.dead_pixels if place[0] < shape[-3]]
    if not own:
        return None
    if tuple(shape[-2:]) != imager.frame_px:
        raise CaptureError(
            f"captures of {shape[-2]} x {shape[-1]} pixels, expected the {imager.frame_px[0]} x "
            f"{imager.frame_px[1]} of the imager {imager.name!r}, in which its dead pixels are "
            "counted; state frame_px and dead_pixels of these captures"
        )
    dead = torch.zeros(tuple(shape[-3:]), dtype=torch.bool)
    for place in own:
        dead[place] = True
    return dead


def _relative(response: Tensor, bad: Tensor) -> tuple[Tensor, Tensor]:
    """Return (sensor, y, x) the response relative to each sensor's mean, and what is dead."""
    relative, dead = torch.ones_like(response), torch.zeros_like(bad)
    for n, image in enumerate(response):
        good = image[torch.isfinite(image) & ~bad[n]]
        if not good.numel() or not float(good.median()) > 0:
            raise CaptureError(
                f"the flat frame of sensor {'AB'[n]} holds no light above the dark frame; "
                "is it the right file?"
            )
        median = good.median()
        # Written so that NaN is dead, too.
        dead[n] = ~(image > DEAD_RESPONSE * median)
        light = image / light_unit(median)  # the sum of many pixels fits, in any unit of light
        relative[n] = torch.where(dead[n], 1.0, light / light[~dead[n] & ~bad[n]].mean())
    return relative, dead


def filled(captures: Tensor, bad: Tensor) -> Tensor:
    """Fill bad pixels with the weighted mean of the good ones around, ring by ring.

    Args:
        captures: (..., sensor, y, x) in any unit.
        bad: (sensor, y, x) True at bad pixels.

    Returns:
        (..., sensor, y, x) captures without bad pixels.

    Raises:
        CaptureError: If a sensor has no good pixel.
    """
    empty = bad.flatten(1).all(dim=1)
    if bool(empty.any()):
        raise CaptureError(f"all pixels of sensor {'AB'[int(empty.int().argmax())]} are bad")
    offsets = torch.arange(-REACH_PX, REACH_PX + 1, device=captures.device)
    squared = (offsets[:, None] ** 2 + offsets[None, :] ** 2).to(captures)
    kernel = torch.exp(-squared)[None, None]
    known = (~bad).to(captures)[:, None]
    image = captures.reshape(-1, *captures.shape[-3:]).transpose(0, 1)  # (sensor, frame, y, x)
    image = torch.where(bad[:, None], 0.0, image)
    while not bool((known > 0).all()):
        support = F.conv2d(known, kernel, padding=REACH_PX)
        around = F.conv2d(
            image.reshape(-1, 1, *image.shape[-2:]), kernel, padding=REACH_PX
        ).reshape(image.shape)
        now = (known == 0) & (support > 0)
        image = torch.where(now, around / support.clamp(min=1e-30), image)
        known = torch.where(now, 1.0, known)
    return image.transpose(0, 1).reshape(captures.shape)


def find_bad_pixels(frames: ArrayLike) -> BoolArray:
    """Find hot and dead pixels in dark or flat frames: those unlike all pixels around them.

    Captures of specimens do not serve: bright cells close to a sensor are points as well. A
    pixel is bad if, in the mean over all frames, it lies more than `OUTLYING` deviations beyond the
    most extreme of its 24 neighbours. The deviation is that of the differences between a sensor's
    pixels and the median of their 8 neighbours, from its quartiles.

    Args:
        frames: (..., sensor, y, x) frames without a specimen.

    Returns:
        (sensor, y, x) True at bad pixels.

    Examples:
        >>> import numpy as np
        >>> from fociscope.reconstruction import find_bad_pixels
        >>> dark = np.random.default_rng(0).normal(100.0, 1.0, (1, 32, 32))
        >>> dark[0, 3, 5] = 500.0
        >>> np.argwhere(find_bad_pixels(dark)).tolist()
        [[0, 3, 5]]
    """
    given = as_tensor(frames).to(torch.float32)
    image = given.reshape(-1, *given.shape[-3:]).mean(dim=0)[:, None]
    height, width = image.shape[-2:]

    def neighbours(reach: int) -> Tensor:
        side = 2 * reach + 1
        wide = F.pad(image, (reach,) * 4, mode="reflect")
        around = F.unfold(wide, side).reshape(len(image), side**2, height, width)
        middle = side**2 // 2
        return torch.cat([around[:, :middle], around[:, middle + 1 :]], dim=1)

    difference = image[:, 0] - neighbours(1).median(dim=1).values
    quartiles = torch.quantile(
        difference.flatten(1), torch.tensor([0.25, 0.75], device=image.device), dim=1
    )
    # A Gaussian's quartiles are 1.349 deviations apart.
    deviation = ((quartiles[1] - quartiles[0]) / 1.349)[:, None, None]
    around = neighbours(2)
    above = image[:, 0] - around.amax(dim=1)
    below = around.amin(dim=1) - image[:, 0]
    outlying = torch.maximum(above, below) > OUTLYING * deviation.clamp(min=1e-30)
    return outlying.cpu().numpy()
