"""What a network is told of an imager: widths in pixels, whatever makes them."""

import pytest
import torch

from fociscope.imager import AngleSelectivePsf, GaussianPsf, Imager
from fociscope.networks.conditioning import OPTICS_FEATURES, TabulatedOptics, optics_features


def told(half_angle_deg: float = 18.0, base_blur_um: float = 0.0, **more: object) -> torch.Tensor:
    psf = AngleSelectivePsf(half_angle_deg=half_angle_deg, base_blur_um=base_blur_um)
    return optics_features(Imager(psf=psf, **more))


def test_features_of_a_gaussian_are_its_radii() -> None:
    """Half the light of a Gaussian lies within 1.1774 standard deviations, 0.8 within 1.7941."""
    imager = Imager(psf=GaussianPsf(spread=0.3))
    radius_px = 2 ** (optics_features(imager).double() + 1.5) - 0.5
    distance_px = torch.arange(1, 16, 2) / 16 * 1000 / 55
    expected = 0.3 * distance_px[:, None] * torch.tensor([1.17741, 1.79412])
    torch.testing.assert_close(radius_px, expected.flatten().double(), rtol=1e-4, atol=1e-4)


def test_another_pitch_is_another_width() -> None:
    """Half the pitch and half the gap is the same imager in pixels."""
    whole, half = told(), told(pixel_pitch_um=27.5, gap_um=500.0)
    torch.testing.assert_close(whole, half, rtol=1e-4, atol=1e-4)
    assert (told(pixel_pitch_um=27.5) > whole).all()


def test_wider_angles_and_more_blur_are_wider() -> None:
    assert (told(half_angle_deg=24.0) > told()).all()
    assert (told(base_blur_um=40.0) > told()).all()


@pytest.mark.parametrize(
    ("half_angle_deg", "base_blur_px"), [(9.0, 0.0), (18.3, 0.0), (24.1, 1.1), (30.0, 0.4)]
)
def test_a_family_is_told_as_its_imagers_are(half_angle_deg: float, base_blur_px: float) -> None:
    family = TabulatedOptics(Imager(), (9.0, 30.0))
    found = family(torch.tensor([half_angle_deg]), torch.tensor([base_blur_px]))
    expected = told(half_angle_deg, base_blur_px * 55.0)
    assert found.shape == (1, OPTICS_FEATURES)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=2e-3)


def test_a_family_of_one_angle() -> None:
    family = TabulatedOptics(Imager(), (18.0, 18.0))
    found = family(torch.tensor([18.0, 19.0]), torch.zeros(2))
    torch.testing.assert_close(found, told().expand(2, -1), rtol=0, atol=1e-4)
