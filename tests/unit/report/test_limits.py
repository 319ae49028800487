"""Limits in the report: lines of a plot, a table, and which methods pictures show."""

import math

import pytest
from matplotlib.figure import Figure

from fociscope.evaluation.results import (
    ConditionResult,
    DepthBound,
    DepthLimit,
    EvaluationResults,
    MethodScores,
    MethodSummary,
    Score,
)
from fociscope.report.figures import FEWEST_LAYERS, draw_over_depth
from fociscope.report.labels import method_label, pictured
from fociscope.report.limits import (
    bounds_caption,
    depth_bounds,
    depth_limit_table,
    draw_depth_bounds,
)

LIMIT = DepthLimit(
    depth_um=(250.0, 750.0),
    known_um=(1.0, None),
    unknown_um=(2.0, 3.0),
    sensor_a=DepthBound(known_um=(4.0, 5.0), unknown_um=(6.0, 7.0)),
)


def results(*names, sensors=2):
    kinds = {"model": "model", "map-oracle": "limit", "constant": "constant"}
    methods = {
        name: MethodSummary(
            kind=kinds.get(name, "solver"),
            inputs="",
            oracle=name.endswith("oracle"),
            seconds_per_scene=None,
            sensors=sensors,
        )
        for name in names
    }
    return EvaluationResults(
        suite={"name": "mine"}, versions={}, threads=1, methods=methods, conditions=[condition()]
    )


def entry(value):
    return Score(value=value, low=None, high=None)


def scores(**by_depth):
    return MethodScores(scenes=9, matched_layers=False, by_depth=by_depth)


def condition(**others):
    model = scores(
        edges_um=[0.0, 500.0, 1000.0],
        layers=[9, FEWEST_LAYERS - 1],
        depth_error_um=[entry(12.0), entry(99.0)],
        accuracy=[entry(0.9), entry(0.1)],
        constant_accuracy=[entry(0.7), entry(0.7)],
    )
    return ConditionResult(
        name="single-layer",
        group="single-layer",
        value=1.0,
        scenes=9,
        scores={"model": model, **others},
        depth_limit=LIMIT,
    )


def test_bounds_are_drawn_as_mean_absolute_errors():
    bounds = depth_bounds(results("model"), LIMIT)
    factor = math.sqrt(2 / math.pi)
    assert bounds["unknown_um"] == pytest.approx([2 * factor, 3 * factor])
    assert bounds["known_um"][0] == pytest.approx(factor)
    assert math.isnan(bounds["known_um"][1])


def test_who_sees_one_sensor_is_held_against_the_bounds_of_one():
    bounds = depth_bounds(results("model", sensors=1), LIMIT)
    assert bounds["unknown_um"] == pytest.approx([6 * 0.79788, 7 * 0.79788], rel=1e-4)


def test_bounds_differ_in_their_lines_and_say_that_they_are_limits():
    axes = Figure().subplots()
    draw_depth_bounds(axes, results("model"), LIMIT)
    assert len({line.get_linestyle() for line in axes.lines}) == len(axes.lines) == 2
    assert all(line.get_label().startswith("limit: ") for line in axes.lines)


def test_the_caption_says_what_each_bound_knows():
    assert "dotted" in bounds_caption(LIMIT) and "dash-dotted" in bounds_caption(LIMIT)
    several = LIMIT.model_copy(update={"unknown_um": None})
    assert "dash-dotted" not in bounds_caption(several)
    assert bounds_caption(None) == ""


def test_the_table_lays_errors_beside_bounds():
    table = depth_limit_table(results("model"), condition())
    assert table.rows[0] == ["0 to 500", "9", "12.0", "1.60", "0.80"]
    assert table.rows[1][-1] == "\N{EN DASH}"
    assert all("(µm)" in column for column in table.columns if column != "layers")


def test_a_map_without_depths_is_drawn_where_there_are_maps():
    oracle = scores(
        edges_um=[0.0, 500.0, 1000.0], layers=[9, 9], accuracy=[entry(0.99), entry(0.97)]
    )
    shown = results("model", "map-oracle")
    figure = draw_over_depth(shown, condition(**{"map-oracle": oracle}))
    depth, maps = figure.axes
    labels = [line.get_label() for line in maps.lines]
    assert "limit: map-oracle" in labels
    assert "limit: map-oracle" not in [line.get_label() for line in depth.lines]


def test_bins_of_few_layers_are_not_drawn():
    figure = draw_over_depth(results("model"), condition())
    first = next(line for line in figure.axes[0].lines if line.get_label() == "model")
    assert first.get_ydata().tolist() == [12.0]


def test_pictures_show_a_solver_once():
    names = ("model", "fista", "fista-oracle", "admm-oracle", "map-oracle")
    shown = pictured(results(*names))
    assert shown == ["model", "fista", "admm-oracle", "map-oracle"]
    assert pictured(results("fista-oracle", "fista")) == ["fista-oracle", "fista"]
    assert method_label(results(*names), "map-oracle") == "limit: map-oracle"
    assert method_label(results(*names), "fista") == "FISTA"
    assert method_label(results(*names), "admm-oracle") == "ADMM, true depths"
    assert method_label(results(*names), "model") == "model"
