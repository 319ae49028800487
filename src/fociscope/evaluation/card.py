"""The model card: what a model is, what it scores on scenes it has never seen, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fociscope.evaluation.methods import ModelMethod
from fociscope.evaluation.results import MethodScores, Score, ScoresByLayer, SuiteSummary
from fociscope.evaluation.run import evaluate
from fociscope.evaluation.suite import SEPARATION_UM, Condition
from fociscope.files.safe.atomic import atomic_path
from fociscope.imager.geometry import Imager
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import ModelInfo, read_model
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.frame import surround_margin_px
from fociscope.training.live_scenes import LARGEST_FILLED_SHARE
from fociscope.training.recipe import ImagerDistribution, Recipe, SceneDistribution
from fociscope.training.run_origin import RunOrigin

__all__ = ["TEST_SCENES", "card_scenes", "write_card"]

TEST_SCENES = 500


def _conditions(recipe: Recipe) -> Iterator[Condition]:
    """Yield the reference conditions first, then one change at a time; the imager is known."""
    imager, psf = recipe.reference_imager, recipe.grating
    scored, most = recipe.scored_scenes, recipe.network.layers
    highest_db = imager.camera.highest_peak_snr_db()

    def made(name: str, taken_by: Imager = imager, **more: Any) -> Condition:
        return Condition(
            name=name,
            group="card",
            value=name,
            imager=taken_by,
            seed=recipe.seeds.test,
            scenes=TEST_SCENES,
            **{**scored, **more},
        )

    yield made("reference")
    for angle_deg in (12.0, 15.0, 21.0, 25.0):
        taken_by = imager.with_(psf=psf.with_(half_angle_deg=angle_deg))
        yield made(f"half angle {angle_deg:g} deg", taken_by)
    for blur_px in (0.6, 1.2):
        taken_by = imager.with_(psf=psf.with_(base_blur_um=blur_px * imager.square_pitch_um))
        yield made(f"base blur {blur_px:g} px", taken_by)
    for snr_db in (20.0, 25.0, 30.0, 50.0):
        if snr_db <= highest_db:
            yield made(f"peak SNR {snr_db:g} dB", peak_snr_db=snr_db)
    if imager.boundary != "reflect":
        yield made("reflect boundary", imager.with_(boundary="reflect"))
    for layers in range(1, most + 1):
        if layers != scored["layers"]:
            apart_um = min(
                SEPARATION_UM[layers], LARGEST_FILLED_SHARE * imager.gap_um / max(layers - 1, 1)
            )
            yield made(f"{layers} layer(s)", layers=layers, min_separation_um=apart_um)


def _in_words(score: Score | None, scale: float = 1.0, digits: int = 1) -> str:
    """Return a score with its interval."""
    if score is None or score.value is None:
        return "none"
    text = f"{scale * score.value:.{digits}f}"
    if score.low is not None and score.high is not None:
        text += f" ({scale * score.low:.{digits}f} to {scale * score.high:.{digits}f})"
    return text


def _cell(value: float | None, scale: float = 1.0, digits: int = 1) -> str:
    """Return a number as a cell of a table."""
    return "none" if value is None else f"{scale * value:.{digits}f}"


def _residuals(scores: MethodScores) -> list[str]:
    """Return the mean self-check residual of each sensor."""
    return [f"{_cell(r, 100)} %" for r in scores.residual or ()]


def _reference_lines(scores: MethodScores) -> list[str]:
    by_layer = scores.by_layer or ScoresByLayer()
    layers = range(len(by_layer.accuracy or ()))
    lines = [
        "| | " + " | ".join(f"layer {n + 1}" for n in layers) + " | mean |",
        "|---|" + "---|" * (len(layers) + 1),
    ]
    for name, of_layers, mean, scale, digits in (
        ("pixel accuracy (%)", by_layer.accuracy, scores.accuracy, 100, 1),
        (
            "constant baseline's accuracy (%)",
            by_layer.constant_accuracy,
            scores.constant_accuracy,
            100,
            1,
        ),
        ("Dice", by_layer.dice, scores.dice, 1, 3),
        ("MCC", by_layer.mcc, scores.mcc, 1, 3),
    ):
        cells = [_cell(value, scale, digits) for value in of_layers or ()]
        lines.append(f"| {name} | {' | '.join(cells)} | {_in_words(mean, scale, digits)} |")
    residual = zip("AB", _residuals(scores), strict=False)
    return [
        *lines,
        "",
        f"- Depth error {_in_words(scores.depth_error_um)} µm, mean absolute; the mean depth's "
        f"{_in_words(scores.constant_depth_error_um)} µm.",
        f"- Depth within 100 µm: {_in_words(scores.within_100_um, 100)} % of layers; within one "
        f"stated standard deviation: {_in_words(scores.within_one_std, 100)} % (68.3 % would be "
        "exact).",
        "- Expected calibration error of the probability: "
        f"{_cell(scores.calibration_error, 100, 2)} %.",
        f"- Relative squared error of the restored layers: {_in_words(scores.image_error, 100)} "
        f"%; of even light, {_in_words(scores.even_image_error, 100)} %.",
        "- Mean self-check residual: " + ", ".join(f"{s} {r}" for s, r in residual) + ".",
    ]


def _condition_lines(rows: list[tuple[str, MethodScores]]) -> list[str]:
    lines = [
        "| condition | accuracy (%) | worst layer | constant | Dice | depth error (µm) "
        "| within 100 µm (%) | ECE (%) | self-check residual |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, s in rows:
        by_layer = (s.by_layer and s.by_layer.accuracy) or ()
        cells = [
            name,
            _in_words(s.accuracy, 100),
            _cell(min((a for a in by_layer if a is not None), default=None), 100),
            _cell(s.value("constant_accuracy"), 100),
            _cell(s.value("dice"), digits=3),
            _in_words(s.depth_error_um),
            _cell(s.value("within_100_um"), 100),
            _cell(s.calibration_error, 100, 2),
            ", ".join(_residuals(s)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _training(recipe: Recipe, origin: RunOrigin, hours: Sequence[float]) -> list[str]:
    """Describe in a paragraph, and a table of the stages if there are any, how it was trained."""
    stages, seeds = recipe.stage_recipes(), recipe.seeds
    run = stages[-1].optimisation
    source = "Live simulation only"
    if origin.data is not None:
        source = f"{origin.data.scenes} scenes from {origin.data.files} file(s)"
    batch = f"{run.batch_scenes} scenes"
    if origin.processes > 1:
        batch = f"{origin.processes} x {batch}"
    others = f"selection {seeds.validation}, calibration {seeds.calibration}, test {seeds.test})"
    if recipe.stages:
        text = (
            f"{source}: {len(stages)} stages, by the recipe `{recipe.name}` (seeds: weights "
            f"{seeds.weights}, training below, {others}; each stage from the best weights of the "
            "stage before, the first one from "
            + ("random weights." if origin.model is None else _model(origin) + ".")
        )
    else:
        text = (
            f"{source}: {run.steps} steps of {batch}, by the recipe `{recipe.name}` (seeds: "
            f"weights {seeds.weights}, training {seeds.training}, {others}."
        )
        if origin.model is not None:
            text += f" It started from {_model(origin)}."
    if hours:
        text += f" It took {sum(hours):.1f} hours."
    if not recipe.stages:
        return [text]
    known = [f"{h:.1f}" for h in hours] or ["unknown"] * len(stages)
    return [
        text,
        "",
        "| stage | steps | scenes a step | learning rate | training seed | hours |",
        "|---|---|---|---|---|---|",
        *(
            f"| {named.name} | at most {stage.optimisation.steps} "
            f"| {origin.processes * stage.optimisation.batch_scenes} "
            f"| {stage.optimisation.learning_rate:g} | {stage.seeds.training} | {h} |"
            for named, stage, h in zip(recipe.stages, stages, known, strict=True)
        ),
    ]


def _model(origin: RunOrigin) -> str:
    assert origin.model is not None
    return f"the weights of another `{origin.model.name}` (SHA-256 {origin.model.sha256[:16]}...)"


def _about(network: LayerNet, info: ModelInfo, recipe: Recipe, training: list[str]) -> list[str]:
    is_staged, recipe = bool(recipe.stages), recipe.stage_recipes()[-1]
    family, scenes = recipe.family, recipe.scenes
    most, usual = info.architecture.layers, recipe.validation.layers
    parameters = sum(p.numel() for p in network.parameters())
    sensors = "sensors A and B" if info.architecture.sensors == 2 else "sensor A alone"
    layers = "one layer" if most == 1 else f"one to {most} layers ({usual} by default)"

    gap_px = info.imager.gap_um / info.imager.square_pitch_um
    return [
        f"Captures of {sensors} and the imager in; probability, intensity, depth and presence of "
        f"{layers} out. {parameters:,} parameters.",
        "",
        "## Training",
        "",
        *training,
        "",
        f"Drawn for every scene{' of the last stage' if is_staged else ''}:",
        "",
        f"- the imager: acceptance half angle {_span(family.half_angle_deg, 'degrees')}, base blur "
        f"{_span(family.base_blur_px, 'pixels')}, at {gap_px:.1f} "
        f"pixels of gap; the conditioning is exact in {100 * family.exact_fraction:g} % of the "
        "scenes, in "
        f"the others it has errors of {family.conditioning_half_angle_std_deg:g} degrees and "
        f"{family.conditioning_base_blur_std_px:g} pixels (standard deviations); boundaries "
        f"{', '.join(family.boundaries)} in turn;",
        *_focus_in_words(family),
        *(
            [
                f"- sensor B, in {100 * family.misregistered_fraction:g} % of the scenes, up to "
                f"{family.shift_px:g} pixel(s) and {family.rotation_deg:g} degrees from its "
                "nominal place;"
            ]
            if info.architecture.sensors == 2
            else []
        ),
        f"- the captures: peak SNR {_span(family.peak_snr_db, 'dB')}, an unknown gain of each "
        f"sensor, and in half of the scenes even light of up to {100 * family.background:g} % of "
        "the mean;",
        f"- the specimen: {_specimens_in_words(scenes)} (see the recipe).",
    ]  # fmt: skip


def _specimens_in_words(scenes: SceneDistribution) -> str:
    """Name the kinds of specimens, and their shares."""
    usual = scenes.specimen.kind
    unusual = sum(other.share for other in scenes.others if other.specimen.kind == usual)
    shares: dict[str, float] = {}
    for other in scenes.others:
        if other.specimen.kind != usual:
            shares[other.specimen.kind] = shares.get(other.specimen.kind, 0) + other.share
    kinds = [f"{usual} in {100 * (1 - sum(shares.values())):.0f} % of the scenes"]
    if unusual:
        kinds[0] += f", {100 * unusual:.0f} % with unusual coverage or size"
    return "; ".join(
        [*kinds, *(f"{kind} in {100 * share:.0f} %" for kind, share in shares.items())]
    )


def _span(values: tuple[float, float], unit: str) -> str:
    return f"{values[0]:g} to {values[1]:g} {unit}"


def _focus_in_words(family: ImagerDistribution) -> list[str]:
    """Describe what is drawn more often than the rest."""
    if (focus := family.focus) is None:
        return []
    return [
        f"- {100 * focus.share:g} % of them from the family's focus: half angle "
        f"{_span(focus.half_angle_deg, 'degrees')}, base "
        f"blur {_span(focus.base_blur_px, 'pixels')} (in {100 * focus.zero_blur_fraction:g} % the "
        f"least), peak SNR {_span(focus.peak_snr_db, 'dB')};"
    ]


def _limits(recipe: Recipe) -> list[str]:
    layers, gap_um = recipe.validation.layers, recipe.imager.gap_um
    apart_um = recipe.validation.min_separation_um
    lines = [
        "## Limits",
        "",
        "- Trained and scored on simulation; no capture of a real specimen with known truth was at "
        "hand.",
    ]
    if layers > 1:
        lines.append(
            f"- The depths are far from free: {layers} layers at least {apart_um:g} µm apart "
            f"within {gap_um:g} µm leave each {gap_um - (layers - 1) * apart_um:g} µm of room, so "
            "the mean depth's error stands beside the model's."
        )
    if "reflect" in recipe.family.boundaries:
        margin_px = surround_margin_px(recipe.imager.with_(boundary="reflect"))
        lines.append(
            f"- In training, the tissue around `reflect` frames reached {margin_px} pixels, which "
            f"holds 99 % of the light at {recipe.grating.half_angle_deg:g} degrees and less of "
            "it at wider angles."
        )
    return [
        *lines,
        "- Layers are flat and parallel to the sensors.",
        "- Specimens of kinds that training does not draw are reconstructed less well; the suite "
        "`generalisation` says how much.",
        "- Not a medical device.",
    ]


def card_scenes(recipe: Recipe) -> int:
    """Return the number of scenes that a model's card scores, under all of its conditions.

    Args:
        recipe: Recipe of the model; of one with stages, the last stage counts.
    """
    return sum(condition.scenes for condition in _conditions(recipe.stage_recipes()[-1]))


def write_card(
    model_path: Path,
    recipe: Recipe,
    path: Path,
    *,
    origin: RunOrigin | None = None,
    hours: Sequence[float] = (),
    progress: Callable[[int], None] | None = None,
) -> str:
    """Score a model on the recipe's test seed and write its card as Markdown.

    Args:
        model_path: Path of the model.
        recipe: Recipe by which it was trained; the scenes of the card are those of its last stage.
        path: Path of the card.
        origin: What training started from; without it, from random weights on live simulation.
        hours: Duration of each stage; empty if unknown.
        progress: Receives how many of the `card_scenes` are done.

    Returns:
        The text of the card.
    """
    last = recipe.stage_recipes()[-1]
    network, info = read_model(model_path)
    method = ModelMethod(model_path, device="cpu")

    def count(_: str, scenes: int, __: int) -> None:
        if progress is not None:
            progress(scenes)

    conditions = list(_conditions(last))
    results = evaluate(conditions, [method], SuiteSummary(name="card"), progress=count).results
    scored = [(c.name, c.scored(method.name)) for c in results.conditions]
    rows = [(name, scores) for name, scores in scored if scores is not None]
    text = "\n".join(
        [
            f"# {recipe.name}",
            "",
            *_about(network, info, recipe, _training(recipe, origin or RunOrigin(), hours)),
            "",
            f"## Scores under the reference conditions ({TEST_SCENES} unseen scenes, "
            f"{REFERENCE_PEAK_SNR_DB:g} dB, `{last.reference_imager.boundary}` boundary)",
            "",
            "In brackets: 95 % intervals over scenes (bootstrap).",
            "",
            *_reference_lines(rows[0][1]),
            "",
            "## Scores around them (with the true imager and number of layers)",
            "",
            *_condition_lines(rows),
            "",
            *_limits(last),
            "",
        ]
    )
    with atomic_path(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
    return text
