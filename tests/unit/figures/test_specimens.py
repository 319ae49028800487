"""Pictures of specimens: they show what was drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from fociscope.figures._specimens import draw_specimen, draw_surface
from fociscope.imager import Imager
from fociscope.simulation import SPECIMEN_KINDS, PerlinFoci, Surface, load_specimen

SURROUND = Imager.reference().with_(boundary="reflect", frame_px=(30, 44))


def images(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(a.images[0].get_array()) for a in figure.axes if a.images]


@pytest.mark.parametrize("kind", [kind for kind in SPECIMEN_KINDS if kind != "user-layers"])
def test_every_kind_is_drawn(kind: str) -> None:
    figure = draw_specimen(load_specimen(kind), depths_um=(50.0, 300.0, 800.0))
    assert len(images(figure)) == 4
    assert kind in {text.get_text() for text in figure.texts}
    figure.canvas.draw()


def test_the_picture_is_that_of_the_frame() -> None:
    light, near, far = images(draw_specimen(PerlinFoci(), imager=SURROUND))
    assert light.shape == near.shape == far.shape == (30, 44)
    assert light.max() > near.max() > far.max()
    assert near.std() / near.mean() > far.std() / far.mean()


def test_every_colour_bar_has_its_unit() -> None:
    figure = draw_surface(Surface(tilt_deg=5.0))
    bars = [axes.get_xlabel() for axes in figure.axes if not axes.images]
    assert len(bars) == 4
    assert bars.count("light per pixel") == 3
    assert bars.count("depth below sensor A (µm)") == 1
    figure.canvas.draw()


def test_a_flat_surface_looks_flat() -> None:
    _, depth, curved, flat = images(draw_surface(Surface(), depth_um=200.0))
    assert (depth == 200).all()
    np.testing.assert_allclose(curved, flat, atol=1e-4)
