"""A hint at the volume where it, and not a layered map, fits a capture: cells lie between layers.

Residuals do not tell the two views apart: the light of a volume is fitted to the captures, so its
residual is less on flat layers, too. Where the sure cells of the volume lie does: of four flat
layers at most a few per cent lie far from all layers of the map, of sheets, strands and scattered
foci a quarter in the median (docs/volumes.md).
"""

from __future__ import annotations

import numpy as np

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.results import Reconstruction
from fociscope.typing import Float32Array

__all__ = ["share_between_layers", "view_hint"]

#: Voxels as sure as this count; so far from all layers they lie between them; and such a share of
#: them is too much.
LEAST_PROBABILITY, FAR_UM, MOST_BETWEEN = 0.3, 85.0, 0.1
#: Fewer expected voxels with cells than this are too few to tell.
LEAST_VOXELS = 3.0
#: Larger frames take too long to reconstruct twice.
LARGEST_PX = 96


def view_hint(first: Reconstruction | None) -> tuple[FociscopeWarning, ...]:
    """Return a hint at a volume if cells lie where a layered map has no layer; else nothing.

    Args:
        first: Map of one capture; None where there is none.
    """
    if first is None or not _can_tell(first):
        return ()
    from fociscope.reconstruction.volume import load_volume_model  # for few captures

    try:
        model = load_volume_model(imager=first.imager, device="cpu")
        if model.warnings:  # the imager is beyond its training
            return ()
        volume = model.reconstruct(first.captures)
    except FociscopeError:
        return ()
    share = share_between_layers(volume.probability, volume.slice_um, first.depth_um[first.present])
    if share <= MOST_BETWEEN:
        return ()
    return (
        FociscopeWarning(
            f"{100 * share:.0f} % of the cells lie more than {FAR_UM:.0f} µm from the layers of "
            "this map, as of tilted or curved sheets, strands and scattered foci: a volume "
            "(fociscope.workflows.reconstruct_volume) fits this capture better"
        ),
    )


def share_between_layers(
    probability: Float32Array, slice_um: Float32Array, layer_um: Float32Array
) -> float:
    """Return which share of a volume's sure cells lies far from all layers of a map.

    Args:
        probability: (slice, y, x) probability of cells.
        slice_um: (slice,) depths in um.
        layer_um: (layer,) depths of the layers that are there, in um.

    Returns:
        Share in 0 ... 1; 0 where there are too few cells to tell.
    """
    weight = np.where(probability > LEAST_PROBABILITY, probability, 0).sum(axis=(1, 2))
    total = float(weight.sum())
    if total < LEAST_VOXELS or not len(layer_um):
        return 0.0
    apart = np.abs(np.asarray(slice_um)[:, None] - np.asarray(layer_um)).min(axis=1)
    return float(weight[apart > FAR_UM].sum()) / total


def _can_tell(first: Reconstruction) -> bool:
    return bool(
        first.captures.shape[-3] > 1
        and max(first.captures.shape[-2:]) <= LARGEST_PX
        and np.isfinite(first.captures).all()
        and first.present.any()
    )
