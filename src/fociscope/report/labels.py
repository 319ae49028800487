"""The words of a report: what conditions are called, and how to find them in the results."""

from __future__ import annotations

from typing import Any

from fociscope.evaluation.methods.solvers import ORACLE
from fociscope.solvers import SOLVERS

__all__ = [
    "CONDITION_LABELS",
    "ORACLE",
    "condition_label",
    "conditions_by_name",
    "evaluated",
    "is_scored",
    "method_label",
    "pictured",
]

Results = dict[str, Any]

#: What varies in a group: words for a label, and for an axis.
CONDITION_LABELS = {
    "reference": "reference",
    "published": "published: no noise",
    "snr": "peak SNR",
    "half-angle": "half angle",
    "base-blur": "base blur",
    "shift": "sensor B shifted",
    "rotation": "sensor B turned",
    "assumed-half-angle": "told half angle",
    "layers": "layers",
    "coverage": "coverage",
    "surround": "tissue around the frame",
    "specimen": "specimen",
    "single-layer": "single layer",
    "data": "data set",
    "seen-in-training": "seen in training",
    "generalisation": "test only:",
    "generalisation-single-layer": "test only, one layer:",
}
UNITS = {"deg": "°", "px": " px", "dB": " dB", "%": " %", "": ""}


def evaluated(results: Results) -> str:
    """Return the name of the method that was evaluated; the others are its baselines."""
    return str(next(iter(results["methods"])))


def method_label(results: Results, name: str) -> str:
    """Return a method's name for a legend: a solver's label, and whether it is a limit."""
    if results["methods"][name]["kind"] == "limit":
        return f"limit: {name}"
    solver = name.removesuffix(ORACLE)
    if solver not in SOLVERS:
        return name
    return SOLVERS[solver].label + (", true depths" if name != solver else "")


def pictured(results: Results) -> list[str]:
    """Return the methods that pictures show, the evaluated one first.

    A solver that is told the true depths stands in the tables alone if the same solver without them
    is there: two dozen lines say less than one.
    """
    first, *others = results["methods"]
    twins = {f"{name}{ORACLE}" for name in results["methods"]}
    return [first, *(name for name in others if name not in twins)]


def conditions_by_name(results: Results) -> dict[str, dict[str, Any]]:
    """Return the conditions under their names."""
    return {condition["name"]: condition for condition in results["conditions"]}


def is_scored(condition: dict[str, Any], method: str) -> bool:
    """Return whether a method could answer under a condition."""
    return "not_applicable" not in condition["scores"][method]


def condition_label(condition: dict[str, Any]) -> str:
    """Return a condition in words, with its unit."""
    label = CONDITION_LABELS.get(condition["group"], str(condition["group"]))
    if condition["group"] == "data":
        return f"{label} {condition['name']}"
    if condition["value"] == "" or condition["group"] == "single-layer":
        return label
    value, unit = condition["value"], UNITS.get(condition.get("unit", ""), "")
    return f"{label} {value if isinstance(value, str) else f'{value:g}'}{unit}"
