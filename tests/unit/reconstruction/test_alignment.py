"""Sensor B's image on sensor A's pixels: what the projector displaced comes back."""

import pytest
import torch

from fociscope.imager import Imager, LayerProjector
from fociscope.imager.registration import Registration
from fociscope.reconstruction._alignment import aligned, share_seen_by_both


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


def test_a_crop_is_aligned_as_the_whole_frame_is() -> None:
    """Of waves longer than a few pixels, seen by B turned and scaled about the frame's middle."""
    whole_px, (y, x, height, width) = (101, 121), (3, 70, 48, 44)
    imager = Imager(
        frame_px=whole_px,
        registration=Registration(shift_um=(30.0, -80.0), rotation_deg=2.0, scale=1.02),
    )
    rows, columns = (torch.arange(n) - (n - 1) / 2 for n in whole_px)
    on_b = 2 + torch.sin(rows / 3.1)[:, None] * torch.cos(columns / 2.7)
    seen = torch.stack([torch.ones_like(on_b), on_b])[None]
    expected = aligned(seen, imager.registration, pixel_pitch_um=imager.pixel_pitch_um)
    crop = slice(y, y + height), slice(x, x + width)
    part = imager.cropped(y, x, height, width, of=whole_px)
    found = aligned(seen[..., *crop], part.registration, pixel_pitch_um=part.pixel_pitch_um)
    inside = slice(8, -8)
    torch.testing.assert_close(
        found[..., inside, inside], expected[..., *crop][..., inside, inside], atol=1e-4, rtol=1e-4
    )
