"""Tables of the suite `generalisation`: before and after, each model with its worst row first.

    fociscope evaluate layers-ab --suite generalisation --baselines layers-a,single-a -o report/
    python benchmarks/generalisation.py report/results.json > tables.md

prints the tables of `generalisation.md` and, last, that of the README. Beside each score stands
that of the networks that knew one kind of specimen, from `generalisation_one_kind.csv`;
`--keep FILE` writes such a file from the results.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from fociscope.evaluation.generalisation import worst_first
from fociscope.evaluation.results import (
    ConditionResult,
    DetectionCounts,
    EvaluationResults,
    read_results,
)

HERE = Path(__file__).parent
BEFORE = HERE / "generalisation_one_kind.csv"
KEPT = ("dice", "accuracy", "depth_error_um", "within_one_std", "calibration_error")
NONE = "\N{EN DASH}"
HEAD = (
    "condition",
    "Dice",
    "accuracy, constant (%)",
    "MCC",
    "depth error, constant (µm)",
    "within one std (%)",
    "ECE (%)",
    "flagged (%)",
    "maps wrong; of these, of sound ones flagged (%)",
    "1 cell, 2-5, 6-20, more (%)",
    "the same, nearest layer (%)",
)
TITLES = {
    "single-cells": "single cells",
    "clusters": "clusters of cells",
    "network": "networks of strands",
    "dead-leaves": "dead leaves",
    "spectral-foci": "foci of another noise field",
    "mixed": "mixed kinds",
    "clouds": "clouds without cells",
}


def text(number: float | None, digits: int = 0, scale: float = 100.0) -> str:
    """Return a number as a cell of a table."""
    return NONE if number is None else f"{scale * number:.{digits}f}"


def moved(before: float | None, now: float | None, digits: int, scale: float = 100.0) -> str:
    """Return a score before and now."""
    if now is None:
        return NONE
    after = text(now, digits, scale)
    return after if before is None else f"{text(before, digits, scale)} → {after}"


def name_of(condition: ConditionResult) -> str:
    """Return what a table calls a condition."""
    return condition.name if condition.test_only else "*seen in training*"


def sensitivity(counts: DetectionCounts | None) -> str:
    """Return the shares of foci of each size that are detected."""
    if counts is None:
        return NONE
    sizes = zip(counts.detected, counts.foci, strict=True)
    return ", ".join(text(found / there) if there else NONE for found, there in sizes)


def row(condition: ConditionResult, model: str, before: dict[str, float | None]) -> list[str]:
    """Return the cells of one condition."""
    scores = condition.scored(model)
    assert scores is not None
    value, empty = scores.value, condition.value == "clouds"
    at_rate = scores.detection_at_false_rate
    detected = [sensitivity(at_rate), sensitivity(at_rate and at_rate.nearest_layer)]
    wrong = text(scores.wrong)
    flagged = [text(scores.flagged_of_wrong), text(scores.flagged_of_sound)]
    depth = moved(before.get("depth_error_um"), value("depth_error_um"), 1, 1)
    return [
        name_of(condition),
        "no cells" if empty else moved(before.get("dice"), value("dice"), 2, 1),
        f"{moved(before.get('accuracy'), value('accuracy'), 1)}, "
        f"{text(value('constant_accuracy'), 1)}",
        NONE if empty else text(value("mcc"), 2, 1),
        depth if empty else f"{depth}, {text(value('constant_depth_error_um'), 1, 1)}",
        moved(before.get("within_one_std"), value("within_one_std"), 0),
        moved(before.get("calibration_error"), value("calibration_error"), 1),
        text(value("flagged")),
        f"{wrong}; {', '.join(flagged)}",
        *detected,
    ]


def printed(head: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print a table."""
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")
    print()


def readme(results: EvaluationResults, model: str) -> list[list[str]]:
    """Return the rows of the README's table, the worst first."""
    rows = []
    for condition in worst_first(results.conditions, model):
        family = str(condition.value)
        title = TITLES.get(family, family)
        if not condition.test_only:
            title = "*foci as in training*"
        elif condition.layers == 1:
            title += ", one layer"
        scores = condition.scored(model)
        if scores is None:
            continue
        value, empty = scores.value, condition.value == "clouds"
        depth = (value("depth_error_um"), value("constant_depth_error_um"))
        rows.append(
            [
                title,
                "no cells" if empty else text(value("dice"), 2, 1),
                f"{text(value('accuracy'), 1)} % ({text(value('constant_accuracy'), 1)} %)",
                NONE if empty else f"{text(depth[0], 0, 1)} µm ({text(depth[1], 0, 1)} µm)",
                NONE if empty else f"{text(value('within_one_std'))} %",
                f"{text(value('flagged'))} %",
            ]
        )
    return rows


def kept(path: Path) -> dict[tuple[str, str], dict[str, float | None]]:
    """Read the scores of a file that `--keep` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            (line["model"], line["condition"]): {
                key: float(line[key]) if line[key] else None for key in KEPT
            }
            for line in csv.DictReader(file)
        }


def keep(results: EvaluationResults, path: Path) -> None:
    """Write the scores that later results are held beside."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "condition", *KEPT])
        for model in results.methods:
            for condition in results.conditions:
                scores = condition.scored(model)
                if scores is None:
                    continue
                numbers = (scores.value(key) for key in KEPT)
                cells = ["" if number is None else f"{number:.5g}" for number in numbers]
                writer.writerow([model, condition.name, *cells])


def main() -> None:
    """Print the tables, or keep the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results.json of the suite")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the scores there instead")
    options = parser.parse_args()
    results = read_results(options.results)
    if options.keep:
        keep(results, options.keep)
        return
    before = kept(BEFORE)
    for title, single in (("Four layers", False), ("One layer", True)):
        print(f"## {title}\n")
        for model in results.methods:
            conditions = [
                condition
                for condition in worst_first(results.conditions, model)
                if condition.name.startswith("single-layer") == single
                and condition.scored(model) is not None
            ]
            if conditions:
                print(f"### {model}\n")
                rows = [row(c, model, before.get((model, c.name), {})) for c in conditions]
                printed(HEAD, rows)
    print(f"## {results.evaluated}, for the README\n")
    head = ("specimen", "Dice", "pixels right (baseline)", "depth error (baseline)")
    printed((*head, "within one std", "flagged"), readme(results, results.evaluated))


if __name__ == "__main__":
    main()
