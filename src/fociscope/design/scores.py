"""The quick scores of one design: what it costs, what bounds it, what the network makes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fociscope.design._captures import (
    DesignCaptures,
    fitting_separation_um,
    simulated_captures,
)
from fociscope.design._information import LEAST_PER_DIMENSION, gaussian_information_bits
from fociscope.design._layers import LayerBounds, layer_bounds
from fociscope.design._network import NetworkScores, ScoreEstimate, network_scores
from fociscope.design.chip import PARAMETERS, ImagerDesign
from fociscope.errors import ImagerError
from fociscope.localization import emitter_bound
from fociscope.simulation.tissue import PerlinFoci

if TYPE_CHECKING:
    from fociscope.design.space import DesignSpace
    from fociscope.imager import Imager

__all__ = ["COSTS", "QUALITIES", "DesignScores", "score_design"]

#: Quality -> whether less of it is better.
QUALITIES: dict[str, bool] = {
    "depth_error_um": True,
    "dice": False,
    "cell_sensitivity": False,
    "depth_bound_um": True,
    "information_bits": False,
}
#: What a design costs; less is better.
COSTS = ("cell_photons", "pixels", "wires")
#: Depths of the emitter, as shares of the gap.
EMITTER_DEPTHS = (0.25, 0.5, 0.75)
#: Side of the patches whose information is counted, in pixels.
PATCH_PX = 8


@dataclass(frozen=True)
class DesignScores:
    """One design, its costs and its quick scores; None where a score is not there.

    Attributes:
        number: Number of the design in its study; 0 is the base.
        design: Its numbers.
        frame_px: (y, x) pixels of a sensor.
        pixels: Pixels of all sensors.
        wires: Bundles of wires, one per sensor.
        field_mm2: Field of view in mm^2.
        cell_photons: Photons that a mean cell emits in one exposure, in all directions.
        pixel_photons: Mean photons that a pixel collects in one exposure.
        peak_snr_db: Median peak SNR of the captures in dB.
        saturated: Share of the captures that fill a pixel.
        refused: Why the network cannot score the design; None if it does.
        network: Scores of the network.
        layers: Bounds of layers.
        information_bits: Gaussian bound of the information in the captures, in bits per pixel.
        emitter_xy_um: Cramer-Rao bound of a lone mean cell's place along one axis in um, the root
            of the mean variance over three depths.
        emitter_depth_um: The same of its depth.
        network_s: Seconds that the network's scores took, captures included.
        bounds_s: Seconds that the bounds took.

    Examples:
        >>> from fociscope.design import DesignSpace, ImagerDesign, score_design
        >>> space = DesignSpace(half_angle_deg=(12, 28), network=False, scenes=16)
        >>> scores = score_design(ImagerDesign.of(space.base_imager()), space)
        >>> scores.pixels, scores.wires, scores.cell_photons
        (5202, 2, 75000.0)
    """

    number: int
    design: ImagerDesign
    frame_px: tuple[int, int]
    pixels: int
    wires: int
    field_mm2: float
    cell_photons: float
    pixel_photons: float | None = None
    peak_snr_db: float | None = None
    saturated: float | None = None
    refused: str | None = None
    network: NetworkScores | None = None
    layers: LayerBounds | None = None
    information_bits: float | None = None
    emitter_xy_um: float | None = None
    emitter_depth_um: float | None = None
    network_s: float = 0.0
    bounds_s: float = 0.0

    def quality(self, name: str) -> float | None:
        """Return a quality by its name in `QUALITIES`; None where it is not there."""
        if name == "depth_bound_um":
            return None if self.layers is None else self.layers.depth_error_um
        if name == "information_bits":
            return self.information_bits
        if self.network is None:
            return None
        estimate: ScoreEstimate | None = getattr(self.network, name)
        return None if estimate is None else estimate.value

    def row(self) -> dict[str, Any]:
        """Return the columns of `designs.csv`."""
        found: dict[str, Any] = {"number": self.number}
        found |= {name: self.design.numbers()[name] for name in PARAMETERS}
        found |= {"frame_y_px": self.frame_px[0], "frame_x_px": self.frame_px[1]}
        for name in ("pixels", "wires", "field_mm2", "cell_photons", "pixel_photons",
                     "peak_snr_db", "saturated"):  # fmt: skip
            found[name] = getattr(self, name)
        for name in ("depth_error_um", "dice", "cell_sensitivity"):
            one = None if self.network is None else getattr(self.network, name)
            found[name] = None if one is None else one.value
            found[f"{name}_se"] = None if one is None else one.std_error
        bounds = self.layers
        found |= {
            "constant_depth_error_um": self.network and self.network.constant_depth_error_um,
            "depth_bound_um": bounds and bounds.depth_error_um,
            "light_unknown": bounds and bounds.light_unknown,
            "layers_information_kbit": bounds and bounds.information_kbit,
            "information_bits": self.information_bits,
            "emitter_xy_um": self.emitter_xy_um,
            "emitter_depth_um": self.emitter_depth_um,
            "network": self.network and self.network.model,
            "refused": self.refused,
            "network_s": round(self.network_s, 3),
            "bounds_s": round(self.bounds_s, 3),
        }
        return found


def score_design(
    design: ImagerDesign, space: DesignSpace, *, base: Imager | None = None, number: int = 0
) -> DesignScores:
    """Score one design by bounds and, where the space says so, by the network.

    Args:
        design: Numbers of the design.
        space: Study that it belongs to.
        base: The space's base imager, where it is at hand.
        number: Number of the design in the study.

    Returns:
        The scores. A design that cannot be, or that the network was not trained for, comes back
        with the reason in `refused`.

    Raises:
        FociscopeError: If there is no such base.

    Examples:
        >>> from fociscope.design import DesignSpace, ImagerDesign, score_design
        >>> space = DesignSpace(pixel_pitch_um=(40, 70), scenes=16)
        >>> scores = score_design(ImagerDesign.of(space.base_imager()), space)
        >>> scores.network.model, scores.refused
        ('layers-ab', None)
    """
    base = base or space.base_imager()
    scores = DesignScores(
        number=number,
        design=design,
        frame_px=base.frame_px,
        pixels=0,
        wires=design.sensors,
        field_mm2=0.0,
        cell_photons=space.cell_photons_per_s * design.exposure_s,
    )
    try:
        imager = design.imager(base, space.hold)
    except ImagerError as error:
        return replace(scores, refused=str(error))
    height, width = imager.frame_px
    scores = replace(
        scores,
        frame_px=imager.frame_px,
        pixels=height * width * design.sensors,
        field_mm2=height * width * (design.pixel_pitch_um / 1000) ** 2,
    )
    begun = time.perf_counter()
    captures = _captures(imager, space)
    simulated_s = time.perf_counter() - begun
    scores = replace(
        _bounded(scores, imager, space, captures),
        pixel_photons=captures.mean_photons,
        peak_snr_db=captures.peak_snr_db,
        saturated=captures.saturated_share,
    )
    if not space.network:
        return scores
    begun = time.perf_counter()
    found = network_scores(
        imager,
        scenes=space.scenes,
        layers=space.layers,
        min_separation_um=space.min_separation_um,
        cell_photons_per_s=space.cell_photons_per_s,
        seed=space.seed,
        captures=captures,
    )
    took = time.perf_counter() - begun + simulated_s
    if isinstance(found, str):
        return replace(scores, refused=found)
    return replace(scores, network=found, network_s=took)


def _captures(imager: Imager, space: DesignSpace) -> DesignCaptures:
    return simulated_captures(
        imager,
        PerlinFoci(),
        space.scenes,
        layers=space.layers,
        min_separation_um=fitting_separation_um(imager, space.layers, space.min_separation_um),
        cell_photons_per_s=space.cell_photons_per_s,
        seed=space.seed,
    )


def _bounded(
    scores: DesignScores, imager: Imager, space: DesignSpace, captures: DesignCaptures
) -> DesignScores:
    """Return scores with all bounds."""
    begun = time.perf_counter()
    layers = layer_bounds(
        imager,
        cell_photons_per_s=space.cell_photons_per_s,
        layers=space.layers,
        min_separation_um=fitting_separation_um(imager, space.layers, space.min_separation_um),
    )
    sensors, count = imager.sensors, len(captures.scenes)
    side = PATCH_PX
    while side > 2 and _patches(imager, count, side) <= LEAST_PER_DIMENSION * sensors * side**2:
        side //= 2
    bits = gaussian_information_bits(
        captures.scenes.captures, captures.noise_variance, patch_px=side
    )
    emitter = emitter_bound(
        imager, [share * imager.gap_um for share in EMITTER_DEPTHS], photons=scores.cell_photons
    )
    return replace(
        scores,
        layers=layers,
        information_bits=bits,
        emitter_xy_um=float(
            np.sqrt(np.mean(np.concatenate([emitter.x_std_um**2, emitter.y_std_um**2])))
        ),
        emitter_depth_um=float(np.sqrt(np.mean(emitter.depth_std_um**2))),
        bounds_s=time.perf_counter() - begun,
    )


def _patches(imager: Imager, captures: int, side: int) -> int:
    """Return how many patches of a side there are in so many captures."""
    return captures * (imager.frame_px[0] // side) * (imager.frame_px[1] // side)
