"""A solver from outside takes part wherever solvers do: by its name, its label and its style."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fociscope.app.methods import methods_for
from fociscope.evaluation import baseline_names, find_method
from fociscope.evaluation.results import EvaluationResults
from fociscope.report.labels import method_label
from fociscope.report.style import method_style
from fociscope.solvers import SOLVERS, SolverSpec, tikhonov

RESULTS = EvaluationResults(
    suite={"name": "mine"},
    versions={},
    threads=1,
    methods={
        name: {"kind": kind, "oracle": oracle, "inputs": "", "seconds_per_scene": None}
        for name, kind, oracle in (
            ("layers-ab", "model", False),
            ("mine", "solver", False),
            ("mine-oracle", "solver", True),
        )
    },
    conditions=[{"name": "one", "group": "data", "value": "", "scenes": 1, "scores": {}}],
)


@pytest.fixture(params=[False, True], ids=["on a grid", "at known depths alone"])
def needs_depths(request: pytest.FixtureRequest) -> Iterator[bool]:
    spec = SolverSpec(
        tikhonov, label="Mine", colour="#123456", marker="h", needs_depths=request.param
    )
    SOLVERS.register("mine", spec)
    yield request.param
    SOLVERS.unregister("mine")


def test_it_is_a_method_and_a_baseline(needs_depths: bool) -> None:
    assert ("mine" in baseline_names()) != needs_depths
    assert "mine-oracle" in baseline_names()
    assert find_method("mine-oracle").oracle


def test_the_app_offers_it_where_depths_are_unknown(needs_depths: bool) -> None:
    labels = [method.label for method in methods_for(2)]
    assert ("Mine, A and B" in labels) != needs_depths


def test_reports_draw_it_in_its_style(needs_depths: bool) -> None:
    assert method_label(RESULTS, "mine") == "Mine"
    assert method_label(RESULTS, "mine-oracle") == "Mine, true depths"
    style = method_style(RESULTS, "mine")
    assert (style["color"], style["marker"]) == ("#123456", "h")


def test_results_of_a_solver_that_is_not_there_are_drawn() -> None:
    assert method_label(RESULTS, "mine") == "mine"
    assert method_style(RESULTS, "mine")["marker"] == "P"
