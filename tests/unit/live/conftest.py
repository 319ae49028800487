"""What tests of the live reconstruction share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import fociscope
from fociscope.live import LiveFrame, LiveReconstruction


@pytest.fixture
def model_maps() -> Callable[[], list[list[float]]]:
    """Depths of one capture by the live loop, and by the model itself."""

    def depths() -> list[list[float]]:
        model = fociscope.load_model("layers-ab", precision="float32")
        capture = fociscope.simulate(1, seed=0).captures[0]
        frames: list[LiveFrame[fociscope.Reconstruction]] = []
        with LiveReconstruction(model.reconstruct, frames.append) as live:
            live.submit(capture)
        return [list(frames[0].result.depth_um), list(model.reconstruct(capture).depth_um)]

    return depths
