"""The tables of an evaluation's report: who scored what, where."""

from __future__ import annotations

from typing import Any

from fociscope.evaluation.generalisation import worst_first
from fociscope.report.cells import NONE, Table, milliseconds, number, share, um
from fociscope.report.labels import condition_label, conditions_by_name, evaluated, is_scored
from fociscope.report.limits import depth_limit_table

__all__ = ["all_tables", "generalisation_table"]

Results = dict[str, Any]
#: Of the published tolerance, and of the reference imager.
MATCH_UM, DEEPEST_UM = 100.0, 1000.0
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


def all_tables(results: Results) -> list[Table]:
    """Return all tables that the results have something to say in."""
    tables = []
    if "test_only" in results["suite"]:
        tables += [generalisation_table(results, name) for name in results["methods"]]
    for condition in results["conditions"]:
        if condition["group"] in ("reference", "data"):
            tables.append(_side_by_side(results, condition))
    if "published" in conditions_by_name(results):
        tables.append(_published(results))
    for condition in results["conditions"]:
        limit = depth_limit_table(results, condition)
        if limit is not None:
            tables.append(limit)
    tables.append(_every_condition(results))
    if any("foci" in c["scores"][evaluated(results)] for c in results["conditions"]):
        tables.append(_foci(results))
    if len(results["methods"]) > 1 and len(results["conditions"]) > 1:
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


def _names(results: Results) -> list[str]:
    """Return the methods' names, oracles marked."""
    return [f"{name} *" if about["oracle"] else name for name, about in results["methods"].items()]


def generalisation_table(results: Results, name: str) -> Table:
    """Return a method's scores on test-only families, the worst row first."""
    rows = []
    for condition in worst_first(results["conditions"], name):
        s = condition["scores"][name]
        label = condition_label(condition)
        if "not_applicable" in s:
            rows.append([label, "cannot", *[NONE] * 12])
            continue
        at_rate = s.get("detection_at_false_rate", {"detected": [0] * 4, "foci": [0] * 4})
        foci = zip(at_rate["detected"], at_rate["foci"], strict=True)
        rows.append(
            [
                label,
                number(s.get("dice"), scale=1, digits=3, interval=False),
                share(s.get("accuracy"), interval=False),
                share(s.get("constant_accuracy"), interval=False),
                number(s.get("mcc"), scale=1, digits=2, interval=False),
                um(s.get("depth_error_um"), interval=False),
                um(s.get("constant_depth_error_um"), interval=False),
                share(s.get("within_one_std"), interval=False),
                number(s.get("calibration_error"), scale=100, digits=1, interval=False),
                share(s.get("flagged"), interval=False),
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


def _side_by_side(results: Results, condition: dict[str, Any]) -> Table:
    """Return the scores of all methods under a condition, and the constant baseline's."""
    scores = condition["scores"]
    rows = [
        _scores_row(label, scores[name])
        for name, label in zip(results["methods"], _names(results), strict=True)
        if is_scored(condition, name)
    ]
    first = next(s for s in scores.values() if "not_applicable" not in s)
    if "accuracy" in first:
        rows.append(_constant_row(first))
    return Table(
        f"Side by side: {condition_label(condition)} ({condition['scenes']} scenes)",
        f"{INTERVALS} {ORACLES} Accuracy, Dice, IoU and MCC are those of cell / no-cell pixels; "
        "68.3 % of depths within one stated standard deviation would be exact; the squared error "
        "of restored layers is relative to the light squared, at each scene's best gain. The last "
        "row knows the truth of each frame and gives the best answer that has no picture in it: "
        "the majority for accuracy, cells everywhere for Dice, the mean depth, even light.",
        SIDE_BY_SIDE,
        rows,
    )


def _scores_row(label: str, scores: dict[str, Any]) -> list[str]:
    """Return a method's cells under the columns of `SIDE_BY_SIDE`."""
    return [
        label,
        str(scores["scenes"]),
        share(scores.get("accuracy")),
        number(scores.get("dice"), scale=1, digits=3, interval=False),
        share(scores.get("iou"), interval=False),
        number(scores.get("mcc"), scale=1, digits=3, interval=False),
        um(scores.get("depth_error_um")),
        share(scores.get("within_100_um"), interval=False),
        share(scores.get("within_one_std"), interval=False),
        share(scores.get("image_error"), interval=False),
        number(scores.get("calibration_error"), scale=100, digits=2, interval=False),
        milliseconds(scores.get("seconds_per_scene")),
    ]


def _constant_row(scores: dict[str, Any]) -> list[str]:
    """Return the cells of the constant baseline, which every method's scores hold."""
    return [
        "constant baseline of each frame",
        str(scores["scenes"]),
        share(scores["constant_accuracy"]),
        share(scores["constant_dice"], interval=False),
        *[NONE] * 2,
        um(scores.get("constant_depth_error_um")),
        share(scores.get("constant_within_100_um"), interval=False),
        NONE,
        share(scores.get("even_image_error"), interval=False),
        *[NONE] * 2,
    ]


def _published(results: Results) -> Table:
    """Return our scores beside the published figures."""
    name = evaluated(results)
    by_name = conditions_by_name(results)

    def of(condition: str) -> dict[str, Any]:
        scores = by_name.get(condition, {}).get("scores", {}).get(name, {})
        return {} if "not_applicable" in scores else scores

    def span(scores: dict[str, Any], key: str) -> str:
        layers = scores.get("by_layer", {}).get(key)
        if not layers:
            return NONE
        return f"{100 * max(layers):.1f} to {100 * min(layers):.1f}"

    single, clean, noisy = of("single-layer"), of("published"), of("reference")
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
                share(single.get("within_100_um")),
                share(single.get("constant_within_100_um")),
                "single layer at any depth, 40 dB" + _made_for(results, name),
            ],
            [
                "least-square error of the deblurred image (%)",
                "4",
                share(single.get("image_error")),
                share(single.get("even_image_error")),
                "the same scenes; relative squared error at the best gain",
            ],
            [
                "cells / no cells per pixel, best to worst layer (%)",
                "89 to 85",
                span(clean, "accuracy"),
                span(clean, "constant_accuracy"),
                "four layers, no noise",
            ],
            [
                "the same with noise",
                NONE,
                span(noisy, "accuracy"),
                span(noisy, "constant_accuracy"),
                "four layers, 40 dB",
            ],
        ],
    )


def _made_for(results: Results, name: str) -> str:
    """Say what a model of several layers has ahead: the nearest of its guesses counts."""
    layers = results["methods"][name].get("layers", 1)
    if layers == 1:
        return ""
    blind = 100 * min(1.0, layers * 2 * MATCH_UM / DEEPEST_UM)
    return (
        f"; made for {layers} layers, of which the nearest counts: {layers} depths spread evenly, "
        f"the constant baseline, would score {blind:.0f}"
    )


def _every_condition(results: Results) -> Table:
    name = evaluated(results)
    rows = []
    for condition in results["conditions"]:
        s = condition["scores"][name]
        label = condition_label(condition)
        if "not_applicable" in s:
            rows.append([label, str(condition["scenes"]), "cannot", *[NONE] * 8])
            continue
        missed = s.get("missed_layers")
        rows.append(
            [
                label,
                str(s["scenes"]),
                share(s.get("accuracy")),
                share(s.get("constant_accuracy"), interval=False),
                number(s.get("dice"), scale=1, digits=3, interval=False),
                um(s.get("depth_error_um")),
                um(s.get("constant_depth_error_um"), interval=False),
                share(s.get("within_100_um"), interval=False),
                number(s.get("calibration_error"), scale=100, digits=2, interval=False),
                ", ".join(f"{100 * r:.0f}" for r in s.get("residual", [])) or NONE,
                NONE
                if missed is None
                else f"{100 * missed:.0f} %, {s['false_layers_per_scene']:.1f}",
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


def _foci(results: Results) -> Table:
    """Return what is stated of foci beside what is there, under every condition."""
    name = evaluated(results)
    rows = []
    for condition in results["conditions"]:
        foci = condition["scores"][name].get("foci")
        if foci is None:
            continue
        # The last bin of ten.
        surest = {key: values[-1] for key, values in foci["reliability"].items()}
        rows.append(
            [
                condition_label(condition),
                str(foci["foci"]),
                *(f"{100 * foci[key]:.1f}" for key in ("stated", "there", "calibration_error")),
                str(surest["foci"]),
                *(
                    NONE if surest[key] is None else f"{100 * surest[key]:.1f}"
                    for key in ("probability", "frequency")
                ),
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
    results: Results, key: str, title: str, scale: float, *, digits: int = 1
) -> Table:
    conditions = results["conditions"]
    columns = {
        label: [c["scores"][name].get(key) for c in conditions]
        for name, label in zip(results["methods"], _names(results), strict=True)
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


def _about(results: Results) -> Table:
    rows = [
        [label, about["kind"], about["inputs"], milliseconds(about["seconds_per_scene"])]
        for label, about in zip(_names(results), results["methods"].values(), strict=True)
    ]
    threads = results["threads"]
    return Table(
        "The methods, and what each uses",
        f"Milliseconds are the median over all conditions of this run, with {threads} thread(s).",
        ("method", "kind", "inputs", "ms per scene"),
        rows,
    )
