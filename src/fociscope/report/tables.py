"""The tables of an evaluation's report: who scored what, where."""

from __future__ import annotations

from fociscope.evaluation.batches import MATCH_UM
from fociscope.evaluation.generalisation import worst_first
from fociscope.evaluation.results import (
    ConditionResult,
    DetectionCounts,
    EvaluationResults,
    MethodScores,
    Numbers,
    ScoresByLayer,
)
from fociscope.report.cells import NONE, Table, milliseconds, number, share, um
from fociscope.report.labels import condition_label, conditions_by_name
from fociscope.report.limits import depth_limit_table

__all__ = ["all_tables", "generalisation_table"]

#: Gap of the reference imager.
DEEPEST_UM = 1000.0
INTERVALS = "In brackets: 95 % intervals over scenes (bootstrap, BCa)."
ORACLES = "* is told truths that no capture offers: see the last table."
SIDE_BY_SIDE = (
    "method",
    "scenes",
    "accuracy (%)",
    "Dice",
    "IoU (%)",
    "MCC",
    "depth error (µm)",
    "depth within 100 µm (%)",
    "within one std (%)",
    "squared error of layers (%)",
    "calibration error (%)",
    "ms per scene",
)


def all_tables(results: EvaluationResults) -> list[Table]:
    """Return all tables that the results have something to say in."""
    tables = []
    if results.suite.test_only is not None:
        tables += [generalisation_table(results, name) for name in results.methods]
    for condition in results.conditions:
        if condition.group in ("reference", "data"):
            tables.append(_side_by_side(results, condition))
    if "published" in conditions_by_name(results):
        tables.append(_published(results))
    for condition in results.conditions:
        limit = depth_limit_table(results, condition)
        if limit is not None:
            tables.append(limit)
    tables.append(_every_condition(results))
    foci = _foci(results)
    if foci.rows:
        tables.append(foci)
    if len(results.methods) > 1 and len(results.conditions) > 1:
        tables.append(_every_method(results, "accuracy", "Pixel accuracy of every method (%)", 100))
        tables.append(
            _every_method(results, "dice", "Dice coefficient of every method", 1, digits=3)
        )
        tables.append(
            _every_method(
                results, "depth_error_um", "Depth error of every method (mean absolute, µm)", 1
            )
        )
    tables.append(_about(results))
    return tables


def _names(results: EvaluationResults) -> list[str]:
    """Return the methods' names, oracles marked."""
    return [f"{name} *" if about.oracle else name for name, about in results.methods.items()]


def generalisation_table(results: EvaluationResults, name: str) -> Table:
    """Return a method's scores on test-only families, the worst row first."""
    rows = []
    for condition in worst_first(results.conditions, name):
        s = condition.scored(name)
        label = condition_label(condition)
        if s is None:
            rows.append([label, "cannot", *[NONE] * 12])
            continue
        at_rate = s.detection_at_false_rate or DetectionCounts(detected=(0,) * 4, foci=(0,) * 4)
        foci = zip(at_rate.detected, at_rate.foci, strict=True)
        rows.append(
            [
                label,
                number(s.dice, scale=1, digits=3, interval=False),
                share(s.accuracy, interval=False),
                share(s.constant_accuracy, interval=False),
                number(s.mcc, scale=1, digits=2, interval=False),
                um(s.depth_error_um, interval=False),
                um(s.constant_depth_error_um, interval=False),
                share(s.within_one_std, interval=False),
                number(s.calibration_error, scale=100, digits=1, interval=False),
                share(s.flagged, interval=False),
                *(share(found / there) if there else NONE for found, there in foci),
            ]
        )
    return Table(
        f"Generalisation: {name}, the worst row first",
        "Test only: families of the second simulator, which shares no code with the first; no "
        "recipe trains on them. Sorted by Dice, where there are no cells by accuracy. The constant "
        "baseline knows each frame's truth and the mean depth of each layer. Of depths, 68.3 % "
        "within one stated standard deviation would be exact. Sensitivity by size: share of foci "
        "detected at one false focus per frame, the map of one layer.",
        (
            "condition",
            "Dice",
            "accuracy (%)",
            "constant baseline (%)",
            "MCC",
            "depth error (µm)",
            "mean depth's error (µm)",
            "within one std (%)",
            "calibration error (%)",
            "flagged (%)",
            "1 cell (%)",
            "2-5 cells (%)",
            "6-20 cells (%)",
            "more cells (%)",
        ),
        rows,
    )


def _side_by_side(results: EvaluationResults, condition: ConditionResult) -> Table:
    """Return the scores of all methods under a condition, and the constant baseline's."""
    scored = [
        (label, scores)
        for name, label in zip(results.methods, _names(results), strict=True)
        if (scores := condition.scored(name)) is not None
    ]
    rows = [_scores_row(label, scores) for label, scores in scored]
    if scored and scored[0][1].accuracy is not None:
        rows.append(_constant_row(scored[0][1]))
    return Table(
        f"Side by side: {condition_label(condition)} ({condition.scenes} scenes)",
        f"{INTERVALS} {ORACLES} Accuracy, Dice, IoU and MCC are those of cell / no-cell pixels; "
        "68.3 % of depths within one stated standard deviation would be exact; the squared error "
        "of restored layers is relative to the light squared, at each scene's best gain. The last "
        "row knows the truth of each frame and gives the best answer that has no picture in it: "
        "the majority for accuracy, cells everywhere for Dice, the mean depth, even light.",
        SIDE_BY_SIDE,
        rows,
    )


def _scores_row(label: str, scores: MethodScores) -> list[str]:
    """Return a method's cells under the columns of `SIDE_BY_SIDE`."""
    return [
        label,
        str(scores.scenes),
        share(scores.accuracy),
        number(scores.dice, scale=1, digits=3, interval=False),
        share(scores.iou, interval=False),
        number(scores.mcc, scale=1, digits=3, interval=False),
        um(scores.depth_error_um),
        share(scores.within_100_um, interval=False),
        share(scores.within_one_std, interval=False),
        share(scores.image_error, interval=False),
        number(scores.calibration_error, scale=100, digits=2, interval=False),
        milliseconds(scores.seconds_per_scene),
    ]


def _constant_row(scores: MethodScores) -> list[str]:
    """Return the cells of the constant baseline, which every method's scores hold."""
    return [
        "constant baseline of each frame",
        str(scores.scenes),
        share(scores.constant_accuracy),
        share(scores.constant_dice, interval=False),
        *[NONE] * 2,
        um(scores.constant_depth_error_um),
        share(scores.constant_within_100_um, interval=False),
        NONE,
        share(scores.even_image_error, interval=False),
        *[NONE] * 2,
    ]


def _published(results: EvaluationResults) -> Table:
    """Return our scores beside the published figures."""
    name = results.evaluated
    by_name = conditions_by_name(results)

    def of(condition: str) -> MethodScores:
        scores = by_name[condition].scored(name) if condition in by_name else None
        return MethodScores(scenes=0, matched_layers=False) if scores is None else scores

    def span(layers: Numbers | None) -> str:
        known = [share for share in layers or () if share is not None]
        return f"{100 * max(known):.1f} to {100 * min(known):.1f}" if known else NONE

    single = of("single-layer")
    clean, noisy = (of(n).by_layer or ScoresByLayer() for n in ("published", "reference"))
    return Table(
        "Beside the published figures",
        "Not like for like. The published abstract (Najafiaghdam et al., Scientific Reports "
        "12:7229, 2022) names no class prior, no noise level and no baseline; its data set is not "
        "public, and its point spread function not known in shape. These are our scenes, made as "
        "its README describes, so the constant baseline's score stands beside each of ours. "
        f"{INTERVALS}",
        ("published task", "published", f"{name}", "constant baseline", "our scenes"),
        [
            [
                "depth of a single layer within 100 µm (%)",
                "87",
                share(single.within_100_um),
                share(single.constant_within_100_um),
                "single layer at any depth, 40 dB" + _made_for(results, name),
            ],
            [
                "least-square error of the deblurred image (%)",
                "4",
                share(single.image_error),
                share(single.even_image_error),
                "the same scenes; relative squared error at the best gain",
            ],
            [
                "cells / no cells per pixel, best to worst layer (%)",
                "89 to 85",
                span(clean.accuracy),
                span(clean.constant_accuracy),
                "four layers, no noise",
            ],
            [
                "the same with noise",
                NONE,
                span(noisy.accuracy),
                span(noisy.constant_accuracy),
                "four layers, 40 dB",
            ],
        ],
    )


def _made_for(results: EvaluationResults, name: str) -> str:
    """Say what a model of several layers has ahead: the nearest of its guesses counts."""
    layers = results.methods[name].layers or 1
    if layers == 1:
        return ""
    blind = 100 * min(1.0, layers * 2 * MATCH_UM / DEEPEST_UM)
    return (
        f"; made for {layers} layers, of which the nearest counts: {layers} depths spread evenly, "
        f"the constant baseline, would score {blind:.0f}"
    )


def _every_condition(results: EvaluationResults) -> Table:
    name = results.evaluated
    rows = []
    for condition in results.conditions:
        s = condition.scored(name)
        label = condition_label(condition)
        if s is None:
            rows.append([label, str(condition.scenes), "cannot", *[NONE] * 8])
            continue
        missed, needless = s.missed_layers, s.false_layers_per_scene
        rows.append(
            [
                label,
                str(s.scenes),
                share(s.accuracy),
                share(s.constant_accuracy, interval=False),
                number(s.dice, scale=1, digits=3, interval=False),
                um(s.depth_error_um),
                um(s.constant_depth_error_um, interval=False),
                share(s.within_100_um, interval=False),
                number(s.calibration_error, scale=100, digits=2, interval=False),
                ", ".join(f"{100 * r:.0f}" for r in s.residual or () if r is not None) or NONE,
                NONE
                if missed is None or needless is None
                else f"{100 * missed:.0f} %, {needless:.1f}",
            ]
        )
    return Table(
        f"{name} under every condition",
        f"{INTERVALS} The constant baseline knows each frame's truth. Layers without cells have no "
        "depth that is scored. Where the number of layers is not the method's own, its layers "
        "are matched with the true ones by depth within 100 µm: the last column has the layers "
        "missed, and the needless layers with cells per scene.",
        (
            "condition",
            "scenes",
            "accuracy (%)",
            "constant baseline (%)",
            "Dice",
            "depth error (µm)",
            "mean depth's error (µm)",
            "within 100 µm (%)",
            "calibration error (%)",
            "self-check residual A, B (%)",
            "missed, needless",
        ),
        rows,
    )


def _foci(results: EvaluationResults) -> Table:
    """Return what is stated of foci beside what is there, under every condition."""
    name = results.evaluated
    rows = []
    for condition in results.conditions:
        scores = condition.scored(name)
        foci = None if scores is None else scores.foci
        if foci is None:
            continue
        bins = foci.reliability  # of which the last one of ten is shown
        rows.append(
            [
                condition_label(condition),
                str(foci.foci),
                *(share(s) for s in (foci.stated, foci.there, foci.calibration_error)),
                str(bins.foci[-1]),
                *(share(s) for s in (bins.probability[-1], bins.frequency[-1])),
            ]
        )
    return Table(
        f"Foci of {name}: what is stated, and what is there",
        "A focus of a map is there if one of its pixels lies on a true focus of its layer or "
        "beside one. Of foci said to be there at 90 % or more, the last two columns should agree.",
        (
            "condition",
            "all foci",
            "mean stated (%)",
            "there (%)",
            "calibration error (%)",
            "foci at 90 % or more",
            "of these, mean stated (%)",
            "of these, there (%)",
        ),
        rows,
    )


def _every_method(
    results: EvaluationResults, key: str, title: str, scale: float, *, digits: int = 1
) -> Table:
    conditions = results.conditions
    columns = {
        label: [c.score(name, key) for c in conditions]
        for name, label in zip(results.methods, _names(results), strict=True)
    }
    # Who was told the depths has no depth error.
    told = {label: entries for label, entries in columns.items() if any(entries)}
    rows = [
        [
            condition_label(c),
            *(number(e[n], scale=scale, digits=digits, interval=False) for e in told.values()),
        ]
        for n, c in enumerate(conditions)
    ]
    notes = [ORACLES] if any(label.endswith("*") for label in told) else []
    note = " ".join([*notes, f"{NONE}: cannot answer there."])
    return Table(title, note, ("condition", *told), rows)


def _about(results: EvaluationResults) -> Table:
    rows = [
        [label, about.kind, about.inputs, milliseconds(about.seconds_per_scene)]
        for label, about in zip(_names(results), results.methods.values(), strict=True)
    ]
    threads = results.threads
    return Table(
        "The methods, and what each uses",
        f"Milliseconds are the median over all conditions of this run, with {threads} thread(s).",
        ("method", "kind", "inputs", "ms per scene"),
        rows,
    )
