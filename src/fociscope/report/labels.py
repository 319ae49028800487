"""The words of a report: what conditions are called, and how to find them in the results."""

from __future__ import annotations

from fociscope.evaluation.methods.solvers import ORACLE
from fociscope.evaluation.results import ConditionResult, ConditionSummary, EvaluationResults
from fociscope.solvers import SOLVERS

__all__ = [
    "CONDITION_LABELS",
    "ORACLE",
    "condition_label",
    "conditions_by_name",
    "is_scored",
    "method_label",
    "pictured",
]

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


def method_label(results: EvaluationResults, name: str) -> str:
    """Return a method's name for a legend: a solver's label, and whether it is a limit."""
    if results.methods[name].kind == "limit":
        return f"limit: {name}"
    solver = name.removesuffix(ORACLE)
    if solver not in SOLVERS:
        return name
    return SOLVERS[solver].label + (", true depths" if name != solver else "")


def pictured(results: EvaluationResults) -> list[str]:
    """Return the methods that pictures show, the evaluated one first.

    A solver that is told the true depths stands in the tables alone if the same solver without them
    is there: two dozen lines say less than one.
    """
    first, *others = results.methods
    twins = {f"{name}{ORACLE}" for name in results.methods}
    return [first, *(name for name in others if name not in twins)]


def conditions_by_name(results: EvaluationResults) -> dict[str, ConditionResult]:
    """Return the conditions under their names."""
    return {condition.name: condition for condition in results.conditions}


def is_scored(condition: ConditionResult, method: str) -> bool:
    """Return whether a method could answer under a condition."""
    return condition.scored(method) is not None


def condition_label(condition: ConditionSummary) -> str:
    """Return a condition in words, with its unit."""
    label = CONDITION_LABELS.get(condition.group, condition.group)
    if condition.group == "data":
        return f"{label} {condition.name}"
    if condition.value == "" or condition.group == "single-layer":
        return label
    value, unit = condition.value, UNITS.get(condition.unit or "", "")
    return f"{label} {value if isinstance(value, str) else f'{value:g}'}{unit}"
