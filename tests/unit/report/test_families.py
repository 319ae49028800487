"""The reliability diagrams of families that nothing was trained on."""

from typing import Any

from fociscope.report.figures import draw_families


def condition(name: str, *, dice: float, layers: int = 4, test_only: bool = True) -> dict[str, Any]:
    curve = {"probability": [0.1, 0.9], "frequency": [0.0, 0.5], "pixels": [1000, 1000]}
    scores = {
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "dice": {"value": dice, "low": dice, "high": dice},
        "reliability": curve,
        "calibration_error": 0.25,
    }
    about = {"name": name, "group": "generalisation", "value": name, "layers": layers}
    return about | {"scores": {"mine": scores}} | ({"test_only": True} if test_only else {})


def results(*conditions: dict[str, Any]) -> dict[str, Any]:
    about = {"kind": "network", "inputs": "A and B", "oracle": False, "seconds_per_scene": 0.01}
    return {"methods": {"mine": about}, "conditions": list(conditions)}


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
