"""Reconstructions made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fociscope.imager import Imager
from fociscope.results import Reconstruction


def made_by_hand(
    probability: np.ndarray, *, depth_um: tuple[float, ...] | None = None, **more: object
) -> Reconstruction:
    """Return a reconstruction (..., layer, y, x) whose layers are all there."""
    probability = np.asarray(probability, dtype=np.float32)
    lead, layers = probability.shape[:-3], probability.shape[-3]
    depth = np.broadcast_to(depth_um or np.arange(1, layers + 1) * 200.0, (*lead, layers))
    captures = np.ones((*lead, 2, *probability.shape[-2:]), np.float32)
    values = {
        "probability": probability,
        "presence": np.ones((*lead, layers), np.float32),
        "intensity": 2 * probability,
        "depth_um": depth.astype(np.float32),
        "depth_std_um": np.full((*lead, layers), 12.5, np.float32),
        "captures": captures,
        "reprojection": 0.9 * captures,
        "imager": Imager.reference(),
        "model": "by hand",
        "quality_flags": np.zeros(lead, dtype="<U1"),
    }
    return Reconstruction(**{**values, **more})  # type: ignore[arg-type]


@pytest.fixture
def by_hand() -> Callable[..., Reconstruction]:
    return made_by_hand
