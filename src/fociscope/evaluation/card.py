"""The model card: what a model is, what it scores on scenes it has never seen, and its limits."""

from __future__ import annotations

from pathlib import Path

from fociscope.evaluation.conditions import CardCondition, Scores, around_the_reference, score
from fociscope.files.atomic import atomic_path
from fociscope.reconstruction.engine import Model, load_model
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.frame import surround_margin_px
from fociscope.training.recipe import Recipe

__all__ = ["TEST_SCENES", "condition_table", "write_card"]

TEST_SCENES = 500


def _reference_table(scores: Scores) -> list[str]:
    mask = scores.mask
    layers = range(len(mask.accuracy))
    rows = {
        "pixel accuracy": (mask.accuracy, "{:.3f}"),
        "constant predictor's accuracy": (mask.constant_accuracy, "{:.3f}"),
        "Dice": (mask.dice, "{:.3f}"),
        "MCC": (mask.mcc, "{:.3f}"),
        "depth error (um)": (scores.depth_error_um, "{:.1f}"),
        "constant depth's error (um)": (scores.constant_depth_error_um, "{:.1f}"),
    }
    lines = [
        "| | " + " | ".join(f"layer {n + 1}" for n in layers) + " | mean |",
        "|---|" + "---|" * (len(layers) + 1),
    ]
    for name, (values, form) in rows.items():
        cells = [form.format(v) for v in [*values, values.mean()]]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [
        *lines,
        "",
        f"Depth within 100 um: {100 * scores.within_100_um:.1f} % of layers; within one stated "
        f"standard deviation: {100 * scores.within_one_std:.1f} % (68.3 % would be exact).",
        f"Expected calibration error of the probability: {scores.calibration_error:.4f}.",
        f"Relative squared error of the restored layers: {scores.intensity_error:.3f}.",
        "Mean self-check residual: "
        + ", ".join(f"{s} {100 * r:.1f} %" for s, r in zip("AB", scores.residual, strict=False))
        + ".",
    ]


def condition_table(rows: list[tuple[CardCondition, Scores]]) -> list[str]:
    """Return the lines of a Markdown table with one condition in each row."""
    lines = [
        "| condition | mean accuracy | worst layer | constant | Dice | depth error (um) | ECE "
        "| self-check residual |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for condition, s in rows:
        residual = ", ".join(f"{100 * r:.1f} %" for r in s.residual)
        lines.append(
            f"| {condition.name} | {s.mask.accuracy.mean():.3f} | {s.mask.accuracy.min():.3f} | "
            f"{s.mask.constant_accuracy.mean():.3f} | {s.mask.dice.mean():.3f} | "
            f"{s.depth_error_um.mean():.1f} | {s.calibration_error:.3f} | {residual} |"
        )
    return lines


def _about(model: Model, recipe: Recipe) -> list[str]:
    info, family, run = model.info, recipe.family, recipe.optimisation
    parameters = sum(p.numel() for p in model.network.parameters())
    sensors = "A and B" if info.architecture.sensors == 2 else "A alone"

    def span(values: tuple[float, float], unit: str) -> str:
        return f"{values[0]:g} to {values[1]:g} {unit}"

    return [
        f"Captures of sensor {sensors} in; probability, intensity and depth of "
        f"{info.architecture.layers} layers out. {parameters:,} parameters.",
        "",
        "## Training",
        "",
        f"Live simulation only, {run.steps} steps of {run.batch_scenes} scenes, by the recipe "
        f"`{recipe.name}` (seeds: weights {recipe.seeds.weights}, training "
        f"{recipe.seeds.training}, selection {recipe.seeds.validation}, calibration "
        f"{recipe.seeds.calibration}, test {recipe.seeds.test}). Drawn evenly for every scene: "
        f"acceptance half angle {span(family.half_angle_deg, 'degrees')}, extra base blur "
        f"{span(family.base_blur_px, 'pixels')}, peak SNR {span(family.peak_snr_db, 'dB')}, "
        f"least distance between layers {span(recipe.scenes.min_separation_um, 'um')}; boundaries "
        f"{' and '.join(family.boundaries)} in turn. Each sensor's gain is unknown. Pixel pitch "
        f"{info.imager.pixel_pitch_um:g} um and gap {info.imager.gap_um:g} um are fixed.",
    ]


def _limits(recipe: Recipe) -> list[str]:
    layers, gap_um = recipe.network.layers, recipe.imager.gap_um
    apart_um = recipe.validation.min_separation_um
    margin_px = surround_margin_px(recipe.imager.with_(boundary="surround"))
    lines = [
        "## Limits",
        "",
        "- Trained and scored on simulation; no capture of a real specimen with known truth was at "
        "hand.",
        "- It always answers with the number of layers it was trained for, each below the one "
        "before, and never says that a layer is absent.",
        "- Pixel pitch and gap are those above; another geometry is refused. The imager is not "
        "told to the network: it serves to check the result against the capture.",
    ]
    if layers > 1:
        lines.append(
            f"- The depths are far from free: {layers} layers at least {apart_um:g} um apart "
            f"within {gap_um:g} um leave each {gap_um - (layers - 1) * apart_um:g} um of room, so "
            "the constant depth's error stands beside the model's."
        )
    if "surround" in recipe.family.boundaries:
        lines.append(
            f"- In training, the tissue around `surround` frames reached {margin_px} pixels, which "
            f"holds 99 % of the light at {recipe.grating.half_angle_deg:g} degrees and less of "
            "it at wider angles."
        )
    return [*lines, "- Not a medical device."]


def write_card(model_path: Path, recipe: Recipe, path: Path) -> str:
    """Score a model on the recipe's test seed, write its card as Markdown, and return the text."""
    model = load_model(model_path, device="cpu")
    settings = {"seed": recipe.seeds.test, **recipe.scored_scenes}
    rows = [
        (condition, score(model, condition.scenes(TEST_SCENES, **settings)))
        for condition in around_the_reference(recipe.reference_imager)
    ]
    text = "\n".join(
        [
            f"# {recipe.name}",
            "",
            *_about(model, recipe),
            "",
            f"## Scores under the reference conditions ({TEST_SCENES} unseen scenes, "
            f"{REFERENCE_PEAK_SNR_DB:g} dB, `{recipe.reference_imager.boundary}` boundary)",
            "",
            *_reference_table(rows[0][1]),
            "",
            "## Scores around them (the model is not told of the change)",
            "",
            *condition_table(rows),
            "",
            *_limits(recipe),
            "",
        ]
    )
    with atomic_path(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
    return text
