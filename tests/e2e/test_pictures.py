"""The README's pictures are those of the shipped model and of today's figures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fociscope.workflows.demo import run_demo

IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "demo"
    run_demo(folder)
    return folder


@pytest.mark.parametrize(
    ("kept", "name"), [("demo.png", "comparison.png"), ("map.png", "figure.png")]
)
def test_kept_pictures_are_what_the_demo_makes(made, kept, name):
    """Another machine's rounding moves few grey levels; another model or figure moves many."""
    old, new = (
        np.asarray(Image.open(path).convert("RGB"), dtype=float)
        for path in (IMAGES / kept, made / name)
    )
    remedy = "python docs/make_pictures.py makes them anew"
    assert old.shape == new.shape, remedy
    assert np.abs(old - new).mean() < 0.5, remedy
