"""The conditioned network as an evaluator: a design's scores on captures of its own.

A shipped network is conditioned on the imager's blur in pixels and was trained over a range of it,
so it reconstructs captures of any design within that range, without training.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fociscope.design._captures import (
    DesignCaptures,
    fitting_separation_um,
    simulated_captures,
)
from fociscope.errors import FociscopeWarning, ImagerError
from fociscope.evaluation.metrics import FocusCandidates, focus_candidates, mask_counts
from fociscope.networks.store import ModelInfo, find_model, read_model, usual_model
from fociscope.reconstruction import load_model
from fociscope.reconstruction.checks import check_imager
from fociscope.simulation.tissue import PerlinFoci, SingleCells

if TYPE_CHECKING:
    from fociscope.imager import Imager
    from fociscope.reconstruction import Model
    from fociscope.results import Reconstruction
    from fociscope.simulation import Specimen
    from fociscope.typing import Float64Array

__all__ = ["NetworkScores", "ScoreEstimate", "network_scores", "refusal"]

#: False candidates per mm^2 at which single cells are counted: one in a frame of the reference
#: chip, which sees 7.9 mm^2.
FALSE_PER_MM2 = 0.127
#: Cells that lie alone, for the sensitivity, at this density per mm^2.
CELLS_PER_MM2 = 3.0


@dataclass(frozen=True)
class ScoreEstimate:
    """A score and the standard error of it over scenes.

    Examples:
        >>> from fociscope.design import ScoreEstimate
        >>> str(ScoreEstimate(11.04, 0.32))
        '11.04 ± 0.32'
    """

    value: float
    std_error: float

    def __str__(self) -> str:
        """Return both with two digits."""
        return f"{self.value:.4g} ± {self.std_error:.2g}"


@dataclass(frozen=True)
class NetworkScores:
    """What a network makes of a design's captures.

    Attributes:
        depth_error_um: Mean absolute error of the layers' depths in um; of layers with cells.
        dice: Dice of the pixels with cells, over all layers.
        cell_sensitivity: Share of lone cells in one layer that are found, at 0.127 false ones per
            mm^2 (one in a frame of the reference chip); None if there are no cells.
        constant_depth_error_um: The error of the mean depth of each layer, which sees nothing.
        model: Name of the network.
        scenes: Number of scenes behind each score.

    Examples:
        >>> from fociscope.design import NetworkScores, ScoreEstimate
        >>> error, dice = ScoreEstimate(11.0, 0.3), ScoreEstimate(0.94, 0.001)
        >>> scores = NetworkScores(error, dice, None, 36.4, "layers-ab", 64)
        >>> scores.depth_error_um.value < scores.constant_depth_error_um
        True
    """

    depth_error_um: ScoreEstimate
    dice: ScoreEstimate
    cell_sensitivity: ScoreEstimate | None
    constant_depth_error_um: float
    model: str
    scenes: int


class Network(Protocol):
    """What reconstructs captures of one imager."""

    def reconstruct(self, captures: np.ndarray, *, layers: int) -> Reconstruction:
        """Return the map of captures (scene, sensor, y, x)."""


def refusal(imager: Imager, info: ModelInfo, peak_snr_db: float | None = None) -> str | None:
    """Say why a network cannot score a design; None if it can.

    Args:
        imager: Imager of the design.
        info: Record of the network.
        peak_snr_db: Median peak SNR of its captures in dB; None if it is not known yet.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        try:
            found = check_imager(imager, info)
        except ImagerError as error:
            return str(error)
    low, high = info.peak_snr_db
    if not found and peak_snr_db is not None and not low <= peak_snr_db <= high:
        found = [
            f"captures have a peak SNR of {peak_snr_db:.1f} dB; {info.name} was trained for "
            f"{low:g} to {high:g} dB"
        ]
    return found[0] if found else None


def network_for(sensors: int, layers: int) -> str:
    """Return the name of the shipped network for so many sensors and layers."""
    return "single-a" if sensors == 1 and layers == 1 else usual_model(sensors)


def network_scores(
    imager: Imager,
    *,
    scenes: int = 64,
    layers: int = 4,
    min_separation_um: float = 250.0,
    cell_photons_per_s: float,
    seed: int = 0,
    model: Network | None = None,
    captures: DesignCaptures | None = None,
    lone: DesignCaptures | None = None,
) -> NetworkScores | str:
    """Score a design by reconstructing captures of it.

    Args:
        imager: Imager of the design.
        scenes: Number of scenes for each score.
        layers: Number of layers.
        min_separation_um: Least distance of neighbouring layers in um.
        cell_photons_per_s: Photons that a mean cell emits per second.
        seed: Seed of the scenes.
        model: Network in place of the shipped one, such as one trained for the design.
        captures: Captures in place of those of the seed.
        lone: Captures of lone cells in place of those of the seed.

    Returns:
        The scores; or why the design is outside what the network was trained for.

    Raises:
        SceneError: If the layers do not fit into the gap.
    """
    name = network_for(imager.sensors, layers)
    of_cells = network_for(imager.sensors, 1 if layers == 1 else layers)
    info = _info(name)
    reason = None if model is not None else refusal(imager, info)
    if reason is not None:
        return reason
    apart_um = fitting_separation_um(imager, layers, min_separation_um)

    def taken(specimen: Specimen, count: int, own: int) -> DesignCaptures:
        return simulated_captures(
            imager,
            specimen,
            scenes,
            layers=count,
            min_separation_um=apart_um,
            cell_photons_per_s=cell_photons_per_s,
            seed=own,
        )

    tissue = captures or taken(PerlinFoci(), layers, seed)
    reason = None if model is not None else refusal(imager, info, tissue.peak_snr_db)
    if reason is not None:
        return reason
    cells = lone or taken(SingleCells(cells_per_mm2=CELLS_PER_MM2), 1, seed + 1)
    network = model or _loaded(name, imager)
    network_of_cells = model or (network if of_cells == name else _loaded(of_cells, imager))
    of_tissue = network.reconstruct(tissue.scenes.captures, layers=layers)
    of_lone = network_of_cells.reconstruct(_with_light(cells), layers=1)
    return NetworkScores(
        depth_error_um=depth_error(of_tissue.depth_um, tissue),
        dice=dice(of_tissue.mask, tissue),
        cell_sensitivity=cell_sensitivity(of_lone.probability, cells, imager),
        constant_depth_error_um=_constant_error_um(tissue),
        model=name if model is None else "trained for the design",
        scenes=len(tissue.scenes),
    )


def depth_error(depth_um: np.ndarray, truth: DesignCaptures) -> ScoreEstimate:
    """Return the mean absolute error of depths (scene, layer) in um, of layers with cells."""
    scored = truth.scenes.mask.any(axis=(-2, -1))
    error = np.where(scored, np.abs(depth_um - truth.scenes.depth_um.astype(np.float64)), 0.0)
    return ratio(error.sum(axis=1), scored.sum(axis=1).astype(np.float64))


def dice(mask: np.ndarray, truth: DesignCaptures) -> ScoreEstimate:
    """Return the Dice of masks (scene, layer, y, x), pixels of all layers and scenes together."""
    counts = mask_counts(mask, truth.scenes.mask)
    hit = 2 * counts.true_positive.sum(axis=1)
    missed = (counts.false_positive + counts.false_negative).sum(axis=1)
    return ratio(hit, hit + missed)


def cell_sensitivity(
    probability: np.ndarray, truth: DesignCaptures, imager: Imager
) -> ScoreEstimate | None:
    """Return the share of lone cells found at `FALSE_PER_MM2` false candidates."""
    one = truth.scenes.mask[:, :1]
    each = [
        focus_candidates(p, m, m.astype(np.float64))
        for p, m in zip(probability[:, :1], one, strict=True)
    ]
    frame_mm2 = np.prod(imager.frame_px) * (imager.square_pitch_um / 1000) ** 2
    threshold = FocusCandidates.joined(each).threshold(FALSE_PER_MM2 * float(frame_mm2))
    found = np.array([float((part.score >= threshold).sum()) for part in each])
    cells = np.array([float(len(part.score)) for part in each])
    return ratio(found, cells) if cells.any() else None


def ratio(top: Float64Array, bottom: Float64Array) -> ScoreEstimate:
    r"""Return the ratio of sums over scenes, and its standard error.

    With $r = \sum t_n / \sum b_n$ over $N$ scenes the error is that of the linearised ratio
    (Cochran, Sampling Techniques, 1977, eq. 2.39),
    $\sqrt{\frac{N}{N - 1} \sum (t_n - r b_n)^2} / \sum b_n$.

    Args:
        top: (scene,) $t_n$.
        bottom: (scene,) $b_n$, not all 0, of at least two scenes.
    """
    total = float(bottom.sum())
    value = float(top.sum()) / total
    count = len(top)
    left = float(((top - value * bottom) ** 2).sum())
    return ScoreEstimate(value, float(np.sqrt(left * count / (count - 1))) / total)


def _with_light(captures: DesignCaptures) -> np.ndarray:
    """Return captures in which a sensor without light on average has the least that is taken.

    A frame without cells holds noise alone, whose mean may lie below 0.
    """
    seen = captures.scenes.captures
    least = 1e-3 / captures.photons_per_light
    mean = seen.mean(axis=(-2, -1), keepdims=True)
    return np.where(mean > least, seen, seen - mean + least).astype(np.float32)


def _constant_error_um(captures: DesignCaptures) -> float:
    depth = captures.scenes.depth_um.astype(np.float64)
    return float(np.abs(depth - depth.mean(axis=0)).mean())


def _info(name: str) -> ModelInfo:
    return read_model(find_model(name))[1]


def _loaded(name: str, imager: Imager) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        return load_model(name, imager=imager, device="cpu")
