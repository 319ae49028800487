"""What a chip of the family does to noise-free captures: orientation, misplacement, background."""

import math

import numpy as np
import pytest
import torch

from fociscope.imager import Imager
from fociscope.training._augmentation import exposed, orient, oriented
from fociscope.training.recipe import ImagerDistribution, Optimisation, Recipe


def recipe(**family: object) -> Recipe:
    quiet = {"shift_px": 0.0, "rotation_deg": 0.0, "background": 0.0, "peak_snr_db": (50.0, 50.0)}
    return Recipe(
        name="tiny",
        imager=Imager(frame_px=(48, 60)),
        family=ImagerDistribution.model_validate(quiet | family),
        optimisation=Optimisation(steps=1),
    )


def spots(scenes: int) -> torch.Tensor:
    """(scene, 2, 48, 60): a wide Gaussian spot in the middle of both sensors."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(60.0), indexing="ij")
    spot = torch.exp(-((y - 23.5) ** 2 + (x - 29.5) ** 2) / (2 * 4.0**2))
    return spot.expand(scenes, 2, -1, -1)


def seen(scenes: int, **family: object) -> torch.Tensor:
    return exposed(spots(scenes), recipe(**family), np.random.default_rng(3), fixed_pattern=None)


def centre(image: torch.Tensor) -> torch.Tensor:
    """(..., y, x) -> (..., 2) centre of light relative to the frame's, in pixels."""
    light = (image - 0.01).clamp(min=0)
    y = (light.sum(-1) * torch.arange(48.0)).sum(-1) / light.sum((-2, -1)) - 23.5
    x = (light.sum(-2) * torch.arange(60.0)).sum(-1) / light.sum((-2, -1)) - 29.5
    return torch.stack([y, x], dim=-1)


def test_orientations_are_the_eight_symmetries_of_the_square() -> None:
    image = np.arange(9.0).reshape(3, 3)
    eight = [np.rot90(m, k) for m in (image, image.T) for k in range(4)]
    found = [orient(torch.from_numpy(image)[None], k)[0].numpy() for k in range(8)]
    assert {f.tobytes() for f in found} == {np.ascontiguousarray(e).tobytes() for e in eight}
    assert np.array_equal(found[0], image)


def test_what_is_no_image_is_not_turned() -> None:
    image, depth, count = torch.rand(2, 4, 4), torch.rand(3), torch.tensor(2)
    for turned in oriented([(image, depth, count)] * 8, np.random.default_rng(0)):
        assert turned[1] is depth
        assert turned[2] is count


def test_half_of_the_sensors_b_are_shifted_within_a_disc() -> None:
    shift = centre(seen(600, shift_px=2.0))
    assert float(shift[:, 0].abs().max()) < 0.03  # sensor A stays
    radius = shift[:, 1].norm(dim=-1)
    assert float(radius.max()) < 2.05
    moved = radius > 0.05
    assert float(moved.float().mean()) == pytest.approx(0.5, abs=0.07)
    # Evenly over a disc: the mean square of the radius is half the square of the largest.
    assert float(radius[moved].square().mean()) == pytest.approx(2.0, rel=0.15)
    assert float(shift[moved, 1].mean(0).norm()) < 0.25


def test_a_turn_is_a_turn_whatever_the_frame() -> None:
    """A spot beside the middle moves along a circle: its distance stays, its angle does not."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(60.0), indexing="ij")
    spot = torch.exp(-((y - 23.5) ** 2 + (x - 29.5 - 15) ** 2) / (2 * 3.0**2))
    clean = spot.expand(200, 2, -1, -1)
    turned = exposed(clean, recipe(rotation_deg=9.0), np.random.default_rng(1), fixed_pattern=None)
    place = centre(turned)[:, 1]
    torch.testing.assert_close(place.norm(dim=-1), torch.full((200,), 15.0), rtol=0, atol=0.06)
    angle = torch.atan2(place[:, 0], place[:, 1]).rad2deg()
    assert 8.0 < float(angle.max()) < 9.3
    assert -9.3 < float(angle.min()) < -8.0


def test_a_background_is_even_and_within_its_share() -> None:
    clean, found = spots(400), seen(400, background=0.2)
    added = (found - clean).mean((-2, -1)) / clean.mean((-2, -1))
    assert float(added.min()) > -0.01
    assert float(added.max()) < 0.21
    lit = (added > 0.01).any(dim=1)
    assert float(lit.float().mean()) == pytest.approx(0.5, abs=0.08)
    assert float(added[lit].mean()) == pytest.approx(0.1, abs=0.02)


def test_nothing_is_done_that_the_family_does_not_ask_for() -> None:
    relative = (seen(20) - spots(20)).abs().max() / math.sqrt(1.0)
    assert float(relative) < 0.03  # noise at 50 dB


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_as_many_sensors_b_are_misplaced_as_asked(share: float) -> None:
    shift = centre(seen(400, shift_px=2.0, misregistered_fraction=share))[:, 1].norm(dim=-1)
    assert float((shift > 0.1).float().mean()) == pytest.approx(share, abs=0.06)


def test_the_core_is_taken_at_its_own_noise() -> None:
    core = {"share": 1.0, "peak_snr_db": (49.0, 50.0)}
    noise = (seen(64, peak_snr_db=(20.0, 50.0), core=core)[:, 0] - spots(64)[:, 0]).std(dim=(1, 2))
    # At the level of the peak, 49 dB is 0.36 % of it; noise of the dim rest is less.
    assert float(noise.max()) < 0.0036
