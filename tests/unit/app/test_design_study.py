"""The designs of a visit: their scores in words, and the front."""

from __future__ import annotations

import json

import pytest

from fociscope.app.design_study import PAGE_SPACE, RANGES, TriedDesigns, front_figure, table_rows
from fociscope.app.plots import Theme
from fociscope.design import ImagerDesign

LOOK = Theme(dark=False)
QUICK = PAGE_SPACE.model_copy(update={"scenes": 8})


def test_the_base_lies_on_the_sliders() -> None:
    own = ImagerDesign.of(PAGE_SPACE.base_imager()).numbers()
    for name, (low, high, step, _, _) in RANGES.items():
        assert low <= own[name] <= high
        assert (own[name] - low) / step == pytest.approx(round((own[name] - low) / step))


def test_a_design_is_scored_once_and_stands_on_the_front() -> None:
    tried = TriedDesigns(QUICK)
    bright = tried.design({"exposure_s": 0.1}, 2)
    dim = tried.design({"exposure_s": 0.004}, 2)
    scores = tried.score(bright)
    assert tried.score(bright) is scores
    tried.score(dim)
    rows = dict(table_rows(scores))
    assert rows["Photons of a cell"] == "1.5e+05"
    assert rows["Pixels, bundles of wires"] == "2048, 2"
    assert "±" in rows["Depth error"]
    figure = front_figure(tried.study, "depth_error_um", LOOK, shown=bright)
    one, two = figure["data"]
    assert one["x"] == []
    assert two["x"] == [150_000.0, 6_000.0]
    assert two["marker"]["symbol"][1] == "circle"  # the fewest photons: nothing beats it
    assert two["marker"]["size"] == [13, 8]
    json.dumps(figure)


def test_a_design_outside_the_networks_training_has_bounds_alone() -> None:
    tried = TriedDesigns(QUICK)
    scores = tried.score(tried.design({"pixel_pitch_um": 40.0, "half_angle_deg": 30.0}, 2))
    assert scores.refused is not None
    rows = dict(table_rows(scores))
    assert "Depth error" not in rows
    assert "Depth error of Gaussian layers" in rows
    assert front_figure(tried.study, "depth_error_um", LOOK)["data"][1]["x"] == []
