"""How exactly depth can be told: Cramer-Rao bounds on the standard deviation of unbiased estimates.

Two bounds, for one layer or for several at once:

- **The layers' images are known**, all but their brightness (`known_layers_bound_um`). Nobody
  knows as much, so it holds for everybody, and is far below what can be reached. The information is
  the sum over pixels of (dy/dz)^2 / variance; of Poisson light with normal noise on top that is
  slightly less than there is, never more, and exact for either alone.
- **The layers are unknown Gaussian fields** with the specimens' own mean and covariance
  (`gaussian_layers_bound_um`): depth from blur. Real specimens are no Gaussian fields, they are
  never negative and dark between foci; who makes use of that may know more. So it is an estimate of
  the limit, and exactly a bound only for such fields.

The gain of each sensor is unknown, too, unless `shared_gain` says that both are alike. A bound for
unbiased estimates is not one for estimates that lean on a prior: where it comes near the spread of
the depths, the spread is the limit. Of a normal error, the mean absolute one is sqrt(2 / pi) = 0.80
times the standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from fociscope.evaluation.limits._gaussian import gaussian_layers_bound_um
from fociscope.evaluation.limits._information import depth_bound, seen_and_slope
from fociscope.evaluation.limits._noise import capture_noise_variance
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.typing import Float64Array

__all__ = ["SingleLayerBounds", "known_layers_bound_um", "single_layer_bounds"]


#: Scenes whose Fisher information is computed together.
CHUNK_SCENES = 16


@dataclass(frozen=True)
class SingleLayerBounds:
    """Bounds on the depth of one layer that is alone, over its depth.

    Both become very large within half a pixel of a sensor, where light stays within its pixel and
    depth leaves no trace; what they say there depends on the accuracy of kernels.
    """

    depth_um: Float64Array
    """(depth,) of the layer."""
    known_um: Float64Array
    """(depth,) of a layer whose image is known: root of the mean variance over the specimens."""
    gaussian_um: Float64Array
    """(depth,) of an unknown layer that is a Gaussian field."""


def single_layer_bounds(
    imager: Imager,
    specimens: ArrayLike,
    depth_um: ArrayLike,
    *,
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
    shared_gain: bool = False,
) -> SingleLayerBounds:
    """Return both bounds for a layer by itself.

    For sensor A alone, give an imager that has no other: `imager.with_(sensors=1)`. A frame of
    51 x 51 takes seconds per depth, and time grows with the sixth power of a frame's side.

    Args:
        imager: the instrument.
        specimens: (scene, y, x) emitted light of layers; dozens of them.
        depth_um: (depth,) where the layer lies.
        peak_snr_db: of each sensor's image.
        shared_gain: the sensors' gains are alike; else each is unknown.

    Raises:
        ImagerError: a depth outside the imager.
        SceneError: a peak SNR that the camera does not reach.
    """
    light = np.asarray(specimens, dtype=np.float64)[:, None]
    depth = np.asarray(depth_um, dtype=np.float64)
    known, gaussian = np.empty_like(depth), np.empty_like(depth)
    for n, z in enumerate(depth):
        there = np.full((len(light), 1), z)
        each = known_layers_bound_um(
            imager, light, there, peak_snr_db=peak_snr_db, shared_gain=shared_gain
        )
        known[n] = np.sqrt((each**2).mean())
        gaussian[n] = gaussian_layers_bound_um(
            imager, [z], light, peak_snr_db=peak_snr_db, shared_gain=shared_gain
        )[0]
    return SingleLayerBounds(depth, known, gaussian)


def known_layers_bound_um(
    imager: Imager,
    layers: ArrayLike,
    depth_um: ArrayLike,
    *,
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
    shared_gain: bool = False,
) -> Float64Array:
    """Return (scene, layer): the bound on depths of layers whose images are known.

    Each layer's brightness is not known, nor are the depths of the others.

    Args:
        imager: the instrument; for `reflect`, the frame's mirror image goes on around it.
        layers: (scene, layer, y, x) emitted light.
        depth_um: (scene, layer).
        peak_snr_db: of each sensor's image.
        shared_gain: the sensors' gains are alike; else each is unknown.

    Raises:
        ImagerError: shapes that do not fit, or a depth outside the imager.
        SceneError: a peak SNR that the camera does not reach.
    """
    light, depth = (torch.as_tensor(np.asarray(a, np.float64)) for a in (layers, depth_um))
    projector = LayerProjector(imager)
    bounds = []
    for start in range(0, len(light), CHUNK_SCENES):
        x, z = light[start : start + CHUNK_SCENES], depth[start : start + CHUNK_SCENES]
        seen, slope = seen_and_slope(projector, x, z)
        captures = seen.sum(dim=1)
        columns = [slope, seen]
        if imager.sensors == 2 and not shared_gain:
            of_b = captures.clone()
            of_b[:, 0] = 0
            columns.append(of_b[:, None])
        spread = capture_noise_variance(imager, captures, peak_snr_db).sqrt()
        weighed = (torch.cat(columns, dim=1) / spread[:, None]).flatten(2)
        information = weighed @ weighed.transpose(1, 2)
        bounds.append(depth_bound(information.numpy(), layers=x.shape[1]))
    return np.concatenate(bounds)
