"""The reliability diagrams of families that nothing was trained on."""

from fociscope.evaluation.results import ConditionResult, EvaluationResults
from fociscope.report.figures import draw_families


def condition(
    name: str, *, dice: float, layers: int = 4, test_only: bool = True
) -> ConditionResult:
    scores = {
        "scenes": 6,
        "matched_layers": False,
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "dice": {"value": dice, "low": dice, "high": dice},
        "reliability": {
            "probability": [0.1, 0.9],
            "frequency": [0.0, 0.5],
            "pixels": [1000, 1000],
        },
        "calibration_error": 0.25,
    }
    about = {"name": name, "group": "generalisation", "value": name, "layers": layers, "scenes": 6}
    only = {"test_only": True} if test_only else {}
    return ConditionResult.model_validate(about | only | {"scores": {"mine": scores}})


def results(*conditions: ConditionResult) -> EvaluationResults:
    about = {"kind": "network", "inputs": "A and B", "oracle": False, "seconds_per_scene": 0.01}
    return EvaluationResults(
        suite={"name": "generalisation"},
        versions={},
        threads=1,
        methods={"mine": about},
        conditions=conditions,
    )


def test_each_test_only_family_has_a_panel_the_worst_first() -> None:
    drawn = draw_families(
        results(
            condition("seen", dice=0.1, test_only=False),
            condition("strands", dice=0.9),
            condition("glands", dice=0.3, layers=1),
        )
    )
    assert drawn is not None
    titles = [axes.get_title() for axes in drawn.axes if axes.axison]
    assert titles == ["glands\n25.0 %, one layer", "strands\n25.0 %"]
    curve = drawn.axes[0].lines[-1].get_xydata()
    assert curve.tolist() == [[10.0, 0.0], [90.0, 50.0]]


def test_without_such_families_there_is_no_picture() -> None:
    assert draw_families(results(condition("seen", dice=0.1, test_only=False))) is None
