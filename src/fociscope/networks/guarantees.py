r"""Statements about maps that hold for any network and tissue, from finitely many captures.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei & Schuster, ICLR 2024) chooses a level
$\lambda$ of caution from captures whose truth is known. With the loss $L_i(\lambda)$ of capture $i$
of $n$, within 0 ... 1 and not increasing in $\lambda$,

$$\hat\lambda = \inf \Bigl\{ \lambda : \frac{1}{n + 1} \Bigl( \sum_i L_i(\lambda) + 1 \Bigr)
\le \alpha \Bigr\}$$

makes $\mathbb{E}[L_{n+1}(\hat\lambda)] \le \alpha$, if the next capture is drawn as those were,
in the mean over many calibrations. That this calibration is a good one, with a confidence
$1 - \delta$, takes more caution (risk-controlling prediction sets, Bates et al., J. ACM 2021): the
level is the first at which a mean loss above $\alpha$ would show as few losses only with a
probability of $\delta$, by the bound of Hoeffding and Bentkus,

$$\min \bigl( e^{-n \, \mathrm{kl}(\bar L, \alpha)}, \;
e \, P(\mathrm{Bin}(n, \alpha) \le \lceil n \bar L \rceil) \bigr) \le \delta .$$

Neither says anything of other chips, other tissue or another exposure. A loss that is not monotone
is replaced by the greatest that it takes at this level or any more cautious one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from scipy.special import bdtr

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.typing import Float64Array

__all__ = ["DepthBars", "FalseFoci", "Guarantees", "control_risk", "least_captures"]

Share = Annotated[float, Field(gt=0, lt=1)]


class FalseFoci(Configuration):
    """From which probability on at most a share of the foci shown is false, in the mean.

    Examples:
        >>> from fociscope.networks import FalseFoci
        >>> FalseFoci(most=0.05, threshold=0.83).threshold
        0.83
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    most: Share
    """Largest share of a capture's foci that may be false, in the mean over captures."""
    threshold: Annotated[float, Field(ge=0, le=1)]
    """Foci of at least this probability are shown."""


class DepthBars(Configuration):
    """By which factor of the stated deviation a share of the depths lies within the bar.

    Examples:
        >>> from fociscope.networks import DepthBars
        >>> DepthBars(least=0.9, factor=1.9).factor
        1.9
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    least: Share
    """Smallest share of a capture's layers whose depth lies in the bar, in the mean."""
    factor: Annotated[float, Field(gt=0)]
    """Half of a bar, in stated standard deviations."""


class Guarantees(Configuration):
    """What holds of maps, in the mean over captures like those that it was calibrated on.

    Examples:
        >>> from fociscope.networks import DepthBars, FalseFoci, Guarantees
        >>> guarantees = Guarantees(
        ...     captures=200,
        ...     layers=4,
        ...     data="tissue-on-my-chip",
        ...     false_foci=FalseFoci(most=0.05, threshold=0.83),
        ...     depth_bars=DepthBars(least=0.9, factor=1.9),
        ... )
        >>> for sentence in guarantees.sentences():
        ...     print(sentence)
        Of the foci of probability 0.83 and more, at most 5 % are false.
        At least 90 % of the depths lie within 1.90 standard deviations.
    """

    error: ClassVar[type[FociscopeError]] = ModelError

    captures: Annotated[int, Field(ge=1)]
    """Captures with a known truth that it was calibrated on."""
    layers: Annotated[int, Field(ge=1)]
    """Layers that were looked for in them."""
    data: str
    """Name of the folder or file that held them."""
    confidence: Share | None = None
    """That the shares hold; None if they hold in the mean over many calibrations."""
    false_foci: FalseFoci | None = None
    """None if no threshold keeps to the share."""
    depth_bars: DepthBars | None = None
    """None if no factor reaches the share."""

    def sentences(self) -> list[str]:
        """Return what is guaranteed, in words."""
        said = []
        if self.false_foci is not None:
            said.append(
                f"Of the foci of probability {self.false_foci.threshold:.2f} and more, at most "
                f"{100 * self.false_foci.most:g} % are false."
            )
        if self.depth_bars is not None:
            said.append(
                f"At least {100 * self.depth_bars.least:g} % of the depths lie within "
                f"{self.depth_bars.factor:.2f} standard deviations."
            )
        return said

    def assumption(self) -> str:
        """Return under what condition it holds, in a sentence."""
        sure = "" if self.confidence is None else f" With {100 * self.confidence:g} % confidence."
        return (
            f"In the mean over captures, if they are like the {self.captures} of {self.data!r}: "
            f"the same chip, kinds of tissue and exposure.{sure}"
        )


def control_risk(
    losses: Float64Array, most: float, *, confidence: float | None = None
) -> int | None:
    """Choose the least cautious level at which the risk is controlled.

    Args:
        losses: Loss of each capture within 0 ... 1 at levels of rising caution, (capture, level);
            those that are not monotone are replaced by the greatest from their level on.
        most: Largest mean loss that is allowed, within 0 ... 1.
        confidence: That the mean loss is at most that, within 0 ... 1; None for a mean loss that is
            in the mean over many calibrations.

    Returns:
        Number of the level; None if no level will do, as with fewer captures than
        `least_captures`.

    Raises:
        ValueError: If losses have another shape, or lie outside 0 ... 1.

    Examples:
        >>> import numpy as np
        >>> from fociscope.networks import control_risk
        >>> losses = np.repeat([[0.5, 0.1, 0.0]], 99, axis=0)
        >>> control_risk(losses, 0.11), control_risk(losses, 0.05), control_risk(losses, 0.009)
        (1, 2, None)
        >>> control_risk(losses, 0.11, confidence=0.95)
        2
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError(
            f"losses need (capture, level) numbers within 0 ... 1; got the shape {losses.shape}"
        )
    captures = len(losses)
    total = np.maximum.accumulate(losses[:, ::-1], axis=1)[:, ::-1].sum(axis=0)
    if confidence is None:
        # The largest loss stands for the capture to come; rounding must not refuse it.
        good = (total + 1) / (captures + 1) <= most * (1 + 1e-12)
    else:
        good = _chance_of_so_little(total / captures, captures, most) <= 1 - confidence + 1e-12
    controlled = np.flatnonzero(good)
    return int(controlled[0]) if len(controlled) else None


def least_captures(most: float, confidence: float | None = None) -> int:
    """Return how many captures a mean loss of at most `most` needs, were all of theirs 0.

    Args:
        most: Largest mean loss that is allowed, within 0 ... 1.
        confidence: As of `control_risk`.

    Returns:
        The number of captures.

    Examples:
        >>> from fociscope.networks import least_captures
        >>> least_captures(0.05), least_captures(0.1), least_captures(0.05, confidence=0.95)
        (19, 9, 59)
    """
    if confidence is None:
        return int(np.ceil(1 / most - 1 - 1e-9))
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - most) - 1e-9))


def _chance_of_so_little(mean: Float64Array, captures: int, most: float) -> Float64Array:
    """Return by how much probability a mean loss above `most` shows a mean of `mean` or less."""
    low = np.clip(mean, 0, most)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(low > 0, low * np.log(low / most), 0)
        divergence = first + (1 - low) * np.log((1 - low) / (1 - most))
    hoeffding = np.exp(-captures * divergence)
    bentkus = np.e * bdtr(np.ceil(captures * mean - 1e-9), captures, most)
    return np.asarray(np.minimum(np.minimum(hoeffding, bentkus), 1.0))
