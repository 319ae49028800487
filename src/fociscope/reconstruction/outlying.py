"""Hot and dead pixels that captures show by themselves, without frames of the chip.

Light spreads on its way to a sensor, the more the deeper it comes from, so that what is bright in
one pixel is seen by its neighbours as well. Cells that touch the sensor are the exception: all of
their light may meet one pixel. They come in all brightnesses, and some lie across two pixels. A hot
pixel is therefore one that

- exceeds `RATIO` times every other pixel of the image but those that are as bright and as lone, and
- has neighbours no brighter than the surroundings explain, and
- is not beside others, nearly as bright and as lone, which are cells.

A dead pixel lies far below all its neighbours but one, in the midst of light.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.reconstruction.correction import filled

__all__ = ["OUTLYING_PIXELS", "describe_outlying", "fill_outlying", "find_outlying"]

RATIO = 2.5
"""A hot pixel exceeds all other light of its image by this factor."""
LEAK = 0.015
"""Share of a pixel's light that its neighbours receive from a cell 40 um from its centre."""
MEAN_LEAK = 0.01
"""The same on the mean of the four sides, whose noise is less; a cell at 50 um leaks 0.03."""
CERTAIN = 8.0
"""Deviations of the noise, between pixels that are neighbours, by which an outlier stands out."""
MANY = 8
"""From so many lone bright pixels on, those that lie side by side by chance are hot as well; from
two on, one as bright that lies beside a step of the tissue."""
NEARLY = 0.2
"""Share of a hot pixel's light from which on other lone pixels speak for cells."""
DEAD = 0.1
"""A dead pixel holds less than this share of its neighbours' light."""
FAINT = 0.02
"""Share of an image's brightest pixel below which a dead pixel costs nothing."""
OUTLYING_PIXELS = "pixels that no light explains"
"""How the sentence about them begins."""
_LISTED = 10
_BATCH_PIXELS = 2**18

_NEAR = [at for at in product((-1, 0, 1), repeat=2) if at != (0, 0)]
_SIDES = [(0, 1), (1, 0), (0, -1), (-1, 0)]
_RING = [at for at in product(range(-2, 3), repeat=2) if max(map(abs, at)) == 2]


def find_outlying(captures: Tensor) -> Tensor:
    """Find the pixels of each image that no light explains.

    Args:
        captures: (..., y, x) light in any unit, black level and dark frame subtracted.

    Returns:
        (..., y, x) True at hot and dead pixels.
    """
    images = captures.reshape(-1, *captures.shape[-2:])
    peak = images.amax(dim=(-2, -1), keepdim=True)
    found = torch.zeros_like(images, dtype=torch.bool)
    if not _may_have_outlying(images, peak):
        return found.reshape(captures.shape)
    highest, lowest = _highest_and_second_lowest(images)
    # Cheap looks first: most images have nothing that comes near.
    lone = (images > NEARLY / RATIO * peak) & (highest < 0.5 * images)
    holes = (images < DEAD * lowest) & (lowest > FAINT * peak)
    rest = torch.where(lone, -torch.inf, images).amax(dim=(-2, -1), keepdim=True)
    bright = (lone & (images >= 0.8 * peak)).flatten(1).sum(dim=1)
    may_be_hot = (peak >= RATIO * rest).flatten() & (bright > 0) | (bright >= MANY // 2)
    may_be_hot &= (peak > 0).flatten()
    for n in torch.nonzero(may_be_hot | holes.flatten(1).any(dim=1)).flatten().tolist():
        image = images[n] / peak[n]  # in any unit, squares fit
        noise = _noise(image)
        if bool(may_be_hot[n]):
            found[n] = _hot(image, lone[n], noise)
        found[n] |= holes[n] & (lowest[n] / peak[n] - image > CERTAIN * noise)
    return found.reshape(captures.shape)


def _may_have_outlying(images: Tensor, peak: Tensor) -> bool:
    """Return whether any pixel is so unlike the brightest of its four sides.

    All that is hot or dead is: of the sides of a dead pixel, one at most is as dark, and at least
    two lie in the frame.
    """
    sides = torch.full_like(images, -torch.inf)
    for one in _shifted(images, _SIDES, -torch.inf):
        torch.maximum(sides, one, out=sides)
    lone = (sides < 0.5 * images) & (images > NEARLY / RATIO * peak)
    holes = (images < DEAD * sides) & (sides > FAINT * peak)
    return bool(lone.logical_or_(holes).any())


def fill_outlying(captures: Tensor) -> tuple[Tensor, Tensor]:
    """Fill the pixels of each capture that no light explains with the mean of their neighbours.

    Args:
        captures: (frame, sensor, y, x) light in any unit.

    Returns:
        (frame, sensor, y, x) captures, the same tensor if nothing is found; and True at what is.
    """
    per_batch = max(1, _BATCH_PIXELS // captures[0].numel())
    found = torch.cat([find_outlying(some) for some in torch.split(captures, per_batch)])
    frames = torch.nonzero(found.flatten(1).any(dim=1)).flatten().tolist()
    if frames:
        captures = captures.clone()
    for n in frames:
        captures[n] = filled(captures[n], found[n])
    return captures, found


def describe_outlying(found: Tensor) -> str:
    """Return how many pixels were found and where, in a sentence; "" for none.

    Args:
        found: (..., sensor, y, x) True at hot and dead pixels.
    """
    each = found.reshape(-1, *found.shape[-3:])
    texts = []
    for sensor, name in zip(range(each.shape[1]), "AB", strict=False):
        at = torch.nonzero(each[:, sensor].any(dim=0)).tolist()
        if at:
            listed = ", ".join(f"({y}, {x})" for y, x in at[:_LISTED])
            more = f" and {len(at) - _LISTED} more" if len(at) > _LISTED else ""
            texts.append(f"{len(at)} of sensor {name}, at (y, x) = {listed}{more}")
    if not texts:
        return ""
    frames = int(each.flatten(1).any(dim=1).sum())
    which = f" in {frames} of {len(each)} captures" if len(each) > 1 else ""
    return (
        f"{OUTLYING_PIXELS}, hot or dead, were filled from their neighbours{which}: "
        f"{'; '.join(texts)}; name those that are bad in a bad-pixel map"
    )


def _hot(image: Tensor, lone: Tensor, noise: Tensor) -> Tensor:
    """Return the hot pixels of one image (y, x) among the bright ones without bright neighbours."""
    surroundings = torch.stack(list(_shifted(image[None], _RING)))[:, 0]
    level = surroundings.nanmedian(dim=0).values
    unevenness = surroundings.nan_to_num(-torch.inf).amax(dim=0) - level
    sides = torch.stack(list(_shifted(image[None], _SIDES, -torch.inf)))[:, 0]
    side = sides.amax(dim=0) - level
    excess = image - level
    tight = lone & (side < LEAK * excess + 5 * noise + unevenness) & (excess > CERTAIN * noise)
    tight &= _leaks(sides, surroundings) < MEAN_LEAK * excess
    values = image[tight].sort(descending=True).values
    if not len(values):
        return tight
    rest = torch.where(tight, -torch.inf, image)
    least = _least_hot(values, rest.max())
    if least is None and len(values) > 1:
        bright = image >= 0.8 * values[: max(MANY, len(values) // 2)].median()
        beside = _in_small_groups(bright) if len(values) >= MANY else lone
        chance = bright & ~tight & beside
        if int(chance.sum()) <= int((tight & bright).sum()) / 2:
            least = _least_hot(values, torch.where(chance, -torch.inf, rest).max())
            tight = tight | chance
    if least is None:
        return torch.zeros_like(tight)
    hot = tight & (image >= least)
    others = int((tight & ~hot & (image >= NEARLY * least)).sum())
    return hot if others <= 2 * int(hot.sum()) else torch.zeros_like(hot)


def _leaks(sides: Tensor, surroundings: Tensor) -> Tensor:
    """Return by how much the mean of a pixel's sides surely exceeds that of its surroundings."""
    sides = torch.where(sides.isinf(), torch.nan, sides)
    count = [(~part.isnan()).sum(dim=0) for part in (sides, surroundings)]
    middle = surroundings.nanmean(dim=0)
    variance = (surroundings - middle).square().nanmean(dim=0)
    doubt = (variance * (1 / count[0] + 1 / count[1])).sqrt()
    return sides.nanmean(dim=0) - middle - 2 * doubt


def _least_hot(values: Tensor, rest: Tensor) -> Tensor | None:
    """Return the smallest of descending values that exceeds all that follows, and the rest."""
    following = torch.cat([values[1:], values.new_tensor([-torch.inf])])
    far = torch.nonzero(values >= RATIO * torch.maximum(following, rest)).flatten()
    return values[far[-1]] if len(far) else None


def _in_small_groups(bright: Tensor) -> Tensor:
    """Return which pixels have at most three bright ones beside them."""
    kernel = torch.ones(1, 1, 3, 3, device=bright.device)
    beside = F.conv2d(bright[None, None].float(), kernel, padding=1)[0, 0]
    return bright & (beside <= 4)


def _noise(image: Tensor) -> Tensor:
    """Return the standard deviation between a pixel and the median of its neighbours."""
    around = torch.stack(list(_shifted(image[None], _NEAR)))[:, 0]
    difference = (image - around.nanmedian(dim=0).values).flatten()
    lower, upper = (difference.kthvalue(max(1, int(q * len(difference)))).values
                    for q in (0.25, 0.75))  # fmt: skip
    return (upper - lower) / 1.349  # a Gaussian's quartiles are so many deviations apart


def _highest_and_second_lowest(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest and the second-lowest of the 8 neighbours of each pixel."""
    highest = torch.full_like(images, -torch.inf)
    for one in _shifted(images, _NEAR, -torch.inf):
        torch.maximum(highest, one, out=highest)
    lowest, second = torch.full_like(images, torch.inf), torch.full_like(images, torch.inf)
    for one in _shifted(images, _NEAR, torch.inf):
        torch.minimum(second, torch.maximum(lowest, one), out=second)
        torch.minimum(lowest, one, out=lowest)
    return highest, second


def _shifted(
    images: Tensor, places: Sequence[tuple[int, ...]], beyond: float = torch.nan
) -> Iterator[Tensor]:
    """Yield the neighbours of each pixel at some places, of the shape of the images."""
    height, width = images.shape[-2:]
    wide = F.pad(images, (2, 2, 2, 2), value=beyond)
    for y, x in places:
        yield wide[..., 2 + y : 2 + y + height, 2 + x : 2 + x + width]
