"""The counts that a camera reads without light: subtracted where they are stated, or warned of.

A network sees a constant offset as light that comes from everywhere, so from far away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fociscope.imager.geometry import Imager
from fociscope.reconstruction.correction import ChipCorrection

__all__ = ["BlackLevel", "find_black_level", "stated_black_level", "with_black_level"]

DARKEST_PERCENTILE = 1.0
"""A sensor's darkest pixels: below this percentile."""
RAW_PERCENTILE, RAW_SHARE = 5.0, 0.7
"""Raw counts keep this percentile above this share of the black level, whatever the noise."""
FAR_ABOVE_ZERO = 0.45
"""Share of a sensor's mean below which its darkest pixels lie without a black level: of 180 scenes
of half angles from 12 to 30 degrees, at 35 dB, at most 0.46, typically 0.2; with a level of 100
counts beside a peak of 850, 0.45 to 0.73."""


@dataclass(frozen=True)
class BlackLevel:
    """What is known of a series' black level.

    Attributes:
        counts: Level to subtract, in the captures' unit; 0 for none.
        notes: What is done about it, in sentences for a user.
        warnings: What a user should do about it.

    Examples:
        >>> from fociscope.reconstruction.black_level import BlackLevel
        >>> BlackLevel(100.0).counts
        100.0
    """

    counts: float = 0.0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def stated_black_level(imager: Imager | None) -> float | None:
    """Return the black level that an imager states itself, in counts; None if it states none.

    Args:
        imager: Instrument that a user has named; None if there is none.
    """
    if imager is None or "black_level_counts" not in imager.camera.model_fields_set:
        return None
    return imager.camera.black_level_counts


def find_black_level(
    captures: npt.ArrayLike, stated_counts: float | None = None, *, has_dark: bool = False
) -> BlackLevel:
    """Return what to do about the black level of a series, by one of its captures.

    A dark frame holds the level, and takes precedence. The level that an imager states is
    subtracted from raw counts: whole numbers whose darkest pixels lie about it. Otherwise the
    darkest pixels are held against the mean.

    Args:
        captures: (..., sensor, y, x) as the files hold them.
        stated_counts: Level that the imager states; None if it states none.
        has_dark: Whether a dark frame is subtracted.

    Returns:
        The level, and what to say.

    Examples:
        >>> import numpy as np
        >>> from fociscope.reconstruction.black_level import find_black_level
        >>> captures = np.full((2, 32, 32), 104.0)
        >>> captures[:, 8:24, 8:24] = 900.0
        >>> find_black_level(captures, 100.0).counts
        100.0
    """
    values = np.asarray(captures, np.float32)
    finite = np.isfinite(values)
    if has_dark or values.ndim < 3 or not finite.any():
        return BlackLevel()
    images = values.reshape(-1, *values.shape[-2:])
    images = np.where(np.isfinite(images), images, np.nan)
    if np.isnan(images).all(axis=(-2, -1)).any():
        return BlackLevel()
    level, notes = 0.0, tuple[str, ...]()
    if stated_counts and bool((values[finite] == np.round(values[finite])).all()):
        dark = float(np.nanpercentile(images, RAW_PERCENTILE, axis=(-2, -1)).min())
        if dark >= RAW_SHARE * stated_counts:
            level = stated_counts
            notes = (f"the imager's black level of {level:g} counts is subtracted.",)
        else:
            notes = (
                f"the imager's black level of {stated_counts:g} counts is not subtracted: the "
                f"darkest pixels hold {dark:g}, so it was before.",
            )
    darkest = np.nanpercentile(images, DARKEST_PERCENTILE, axis=(-2, -1)) - level
    mean = np.nanmean(images, axis=(-2, -1)) - level
    share = float((darkest / np.maximum(mean, 1e-30)).min()) if (mean > 0).all() else 0.0
    if share <= FAR_ABOVE_ZERO:
        return BlackLevel(level, notes)
    warning = (
        f"the darkest pixels hold {100 * share:.0f} % of the mean light (typically 20 %): a black "
        "level seems to be in the captures, which a network takes for light from far away; give a "
        "dark frame, or an imager that states black_level_counts"
    )
    return BlackLevel(level, notes, (warning,))


def with_black_level(correction: ChipCorrection | None, black: BlackLevel) -> ChipCorrection | None:
    """Return the chip's correction with a black level that is subtracted as a dark frame is.

    Args:
        correction: Frames of the chip; None for none.
        black: What was found; a level of 0 changes nothing.
    """
    if not black.counts:
        return correction
    return replace(correction or ChipCorrection(), black_level_counts=black.counts)
