"""Pixels that an imager states as dead are filled before the network sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fociscope.errors import CaptureError
from fociscope.imager import Imager
from fociscope.reconstruction import ChipCorrection, load_model
from fociscope.reconstruction.correction import dead_pixels
from fociscope.simulation import simulate


def test_a_dead_pixel_of_the_imager_changes_what_a_bad_pixel_frame_changes() -> None:
    captures = simulate(1, seed=0).captures[0]
    captures[0, 20, 30] = 0.0
    bad = np.zeros((2, 51, 51), bool)
    bad[0, 20, 30] = True
    stated = load_model("layers-ab", imager=Imager(dead_pixels=[(0, 20, 30)]))
    plain = load_model("layers-ab", imager=Imager.reference())
    by_imager = stated.reconstruct(captures)
    by_frame = plain.reconstruct(captures, correction=ChipCorrection(bad_pixels=bad))
    np.testing.assert_array_equal(by_imager.depth_um, by_frame.depth_um)
    np.testing.assert_array_equal(by_imager.probability, by_frame.probability)


def test_dead_pixels_are_counted_in_the_imagers_frame() -> None:
    imager = Imager(frame_px=(4, 5), dead_pixels=[(0, 1, 2), (1, 3, 4)])
    both = dead_pixels(imager, (7, 2, 4, 5))
    assert both is not None
    assert both.nonzero().tolist() == [[0, 1, 2], [1, 3, 4]]
    alone = dead_pixels(imager, (1, 4, 5))
    assert torch.equal(alone, both[:1])  # type: ignore[arg-type]
    assert dead_pixels(Imager(), (2, 51, 51)) is None
    with pytest.raises(CaptureError, match="expected the 4 x 5"):
        dead_pixels(imager, (2, 6, 6))
