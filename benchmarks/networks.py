"""The kept tables of the three models on the reference suite, from their reports.

Every model's report is made as COMMANDS says; this puts them together:

python benchmarks/networks.py REPORTS > benchmarks/networks.md
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from fociscope.evaluation.results import EvaluationResults, MethodScores, read_results
from fociscope.solvers import SOLVERS

COMMANDS = """\
fociscope evaluate layers-ab --suite reference --baselines all -o REPORTS/layers-ab
fociscope evaluate layers-a --suite reference -o REPORTS/layers-a
fociscope evaluate single-a --suite reference -o REPORTS/single-a
for model in layers-ab+refined single-a+refined; do
  fociscope evaluate $model --suite reference --conditions 'reference,single-layer' \\
    -o REPORTS/$model
done
python benchmarks/networks.py REPORTS > benchmarks/networks.md"""
MODELS = ("layers-ab", "layers-a", "single-a")
REFINED = ("layers-ab+refined", "single-a+refined")

#: What a deblurring is to reach, as a share of the best solver's squared error.
WANTED_SHARE = 0.7
TARGETS = """\
| figure | condition | model | wanted | measured |
|---|---|---|---|---|"""


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, help="folder with one report for each model")
    folder = parser.parse_args().reports
    found = {m: read_results(folder / m / "results.json") for m in MODELS + REFINED}
    print("# The networks on the reference suite\n")
    print(f"```sh\n{COMMANDS}\n```\n")
    print(
        "One thread, other work beside it, so times are no measure. `layers-ab` beside all solvers,"
    )
    print("condition by condition: [reference_suite.md](reference_suite.md).\n")
    print("## Held against what was wanted\n")
    print(TARGETS)
    for row in rows(found):
        print(f"| {' | '.join(row)} |")
    print("\n## Deblurring of a single layer, by depth\n")
    print(
        "Relative squared error of the restored layer (%), at each scene's best gain. `layers-ab`"
    )
    print(
        "and the solvers see both sensors, `layers-a` and `single-a` sensor A alone; solvers search"
    )
    print("for the depth, and are scored on the first 30 of the 400 scenes: they are rough.\n")
    print_squared_errors(found)
    for model in MODELS[1:]:
        tables = (folder / model / "tables.md").read_text(encoding="utf-8")
        print("\n" + re.sub(r"^#", "##", tables, flags=re.MULTILINE).strip())


def rows(found: dict[str, EvaluationResults]) -> list[tuple[str, str, str, str, str]]:
    """Return the targets and what was measured."""
    ab, a, single = (scores(found, model) for model in MODELS)

    def percent(score: MethodScores, what: str) -> str:
        return f"{100 * score.value(what):.2f} %"

    def um(score: MethodScores) -> str:
        error = score.depth_error_um
        return f"{error.value:.1f} ({error.low:.1f} to {error.high:.1f}) µm"

    def by_layer(score: MethodScores, pick: Callable[[Sequence[float]], float]) -> str:
        return f"{100 * pick(score.by_layer.accuracy):.1f} %"

    def first(values: Sequence[float]) -> float:
        return values[0]

    family = [name for name in ab if name.startswith("half-angle-") and 14 <= angle(name) <= 22]
    wrong = [name for name in ab if name.startswith("assumed-") and 15 <= angle(name) <= 21]
    return [
        (
            "accuracy, mean",
            "reference",
            "layers-ab",
            "95.0 %",
            percent(ab["reference"], "accuracy"),
        ),
        (
            "accuracy, worst layer",
            "reference",
            "layers-ab",
            "93.0 %",
            by_layer(ab["reference"], min),
        ),
        ("accuracy, mean", "reference", "layers-a", "85.0 %", percent(a["reference"], "accuracy")),
        ("accuracy, layer 1", "reference", "layers-a", "96.0 %", by_layer(a["reference"], first)),
        ("depth error", "reference", "layers-ab", "12 µm", um(ab["reference"])),
        (
            "within 100 µm",
            "reference",
            "layers-ab",
            "99.9 %",
            percent(ab["reference"], "within_100_um"),
        ),
        ("depth error", "single layer", "single-a", "8 µm", um(single["single-layer"])),
        (
            "within 100 µm",
            "single layer",
            "single-a",
            "99.5 %",
            percent(single["single-layer"], "within_100_um"),
        ),
        *(
            ("calibration error", name, model, "1 %", percent(score[name], "calibration_error"))
            for model, score, name in (
                ("layers-ab", ab, "reference"),
                ("layers-a", a, "reference"),
                ("single-a", single, "single-layer"),
            )
        ),
        *(
            (
                "depths within one stated deviation",
                name,
                model,
                "63 to 73 %",
                percent(score[name], "within_one_std"),
            )
            for model, score, name in (
                ("layers-ab", ab, "reference"),
                ("layers-a", a, "reference"),
                ("single-a", single, "single-layer"),
            )
        ),
        *(("accuracy, mean", n, "layers-ab", "94.0 %", percent(ab[n], "accuracy")) for n in family),
        *(("accuracy, mean", n, "layers-ab", "92.5 %", percent(ab[n], "accuracy")) for n in wrong),
    ]


def angle(condition: str) -> float:
    """Return the half angle that a condition's name ends with."""
    return float(condition.rsplit("-", 1)[1])


def scores(found: dict[str, EvaluationResults], model: str) -> dict[str, MethodScores]:
    """Return the scores of a model by condition."""
    return {
        condition.name: scored
        for condition in found[model].conditions
        if (scored := condition.scored(model)) is not None
    }


def print_squared_errors(found: dict[str, EvaluationResults]) -> None:
    """Print the models' and the solvers' errors, and their ratio."""
    judged = {c.name: c for c in found["layers-ab"].conditions}["single-layer"]
    entries = {m: scores(found, m)["single-layer"] for m in sorted(MODELS + REFINED)}
    entries |= {s: scored for s in SOLVERS if (scored := judged.scored(s)) and scored.by_depth}
    edges = next(iter(entries.values())).by_depth.edges_um
    names = [*entries, "layers-ab+refined over the best solver"]
    print(f"| true depth (µm) | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for place, (low, high) in enumerate(pairwise(edges)):
        errors = {n: c.by_depth.image_error[place] for n, c in entries.items()}
        errors = {n: e and e.value for n, e in errors.items()}
        best = min((errors[s] for s in SOLVERS if errors.get(s) is not None), default=None)
        cells = ["-" if e is None else f"{100 * e:.1f}" for e in errors.values()]
        share = "-" if best is None else f"{errors['layers-ab+refined'] / best:.2f}"
        print(f"| {low:.0f} to {high:.0f} | {' | '.join(cells)} | {share} |")
    four = [scores(found, m)["reference"].value("image_error") for m in ("layers-ab", REFINED[0])]
    print(
        f"\nWanted: at most {WANTED_SHARE:g} of the best solver, and at most 4 %. Four layers, the"
    )
    print(f"reference conditions: {100 * four[0]:.1f} %, and {100 * four[1]:.1f} % refined.")


if __name__ == "__main__":
    main()
