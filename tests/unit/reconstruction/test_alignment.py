"""Sensor B's image on sensor A's pixels: what the projector displaced comes back."""

import pytest
import torch

from fociscope.imager import Imager, LayerProjector
from fociscope.imager.registration import Registration
from fociscope.reconstruction.alignment import aligned, share_seen_by_both


def captures(registration: Registration) -> torch.Tensor:
    """Of smooth spots well inside the frame, so that nothing is lost at its edges."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    spots = sum(
        torch.exp(-((y - b) ** 2 + (x - a) ** 2) / 18.0) for b, a in ((20, 20), (28, 17), (23, 30))
    )
    imager = Imager(frame_px=(48, 48), registration=registration)
    seen = LayerProjector(imager).A(spots[None, None], torch.tensor([[500.0]]))
    assert isinstance(seen, torch.Tensor)
    return seen


@pytest.mark.parametrize(
    "registration",
    [
        Registration(shift_um=(55.0, 0.0)),
        Registration(shift_um=(-30.0, 71.0)),
        Registration(rotation_deg=4.0),
        Registration(shift_um=(20.0, -40.0), rotation_deg=-3.0, scale=1.02),
    ],
    ids=str,
)
def test_a_displaced_sensor_b_comes_back(registration: Registration) -> None:
    straight, displaced = captures(Registration()), captures(registration)
    back = aligned(displaced, registration, pixel_pitch_um=55.0)
    torch.testing.assert_close(back[:, 0], straight[:, 0])
    scale = float(straight[:, 1].max())
    before = float((displaced - straight)[:, 1].abs().max()) / scale
    after = float((back - straight)[:, 1].abs().max()) / scale
    assert before > 0.05
    assert after < 0.01


def test_an_aligned_sensor_stays_as_it_is() -> None:
    seen = captures(Registration())
    assert aligned(seen, Registration(), pixel_pitch_um=55.0) is seen


def test_the_share_that_both_see() -> None:
    shifted = Registration(shift_um=(0.0, 12 * 55.0))
    share = share_seen_by_both(shifted, (48, 48), pixel_pitch_um=55.0)
    assert share == pytest.approx(36 / 48)
