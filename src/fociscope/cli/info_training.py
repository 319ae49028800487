"""What `fociscope info` says of a training recipe, and of the folder of a training run."""

from __future__ import annotations

import csv
from pathlib import Path

from fociscope.cli.common import pitch_in_words, show
from fociscope.errors import printable
from fociscope.training.recipe import RECIPE_FILE, Recipe

__all__ = ["describe_recipe", "describe_run"]

_LARGEST_CURVES_BYTES = 2**26


def describe_recipe(name: str) -> None:
    """Say what a recipe trains.

    Args:
        name: Path of a TOML file, or name of a shipped recipe.

    Raises:
        RecipeError: It is no recipe.
    """
    recipe = Recipe.load(name)
    imager, network = recipe.imager, recipe.network
    height, width = imager.frame_px
    show("Recipe", recipe.name)
    show(
        "Imager",
        f"{imager.name}: {width} x {height} pixels of {pitch_in_words(imager)}, "
        f"{imager.sensors} sensor(s), depths to {imager.gap_um:g} µm",
    )
    show("Network", f"{network.sensors} sensor image(s), at most {network.layers} layer(s)")
    show(
        "Family",
        f"half angles {_span(recipe.family.half_angle_deg)} degrees, base blur "
        f"{_span(recipe.family.base_blur_px)} pixels, peak SNR "
        f"{_span(recipe.family.peak_snr_db)} dB",
    )
    stages = recipe.stages
    for each, named in zip(recipe.stage_recipes(), stages or (None,), strict=True):
        settings = each.optimisation
        show(
            "Training" if named is None else f"Stage {named.name}",
            f"{settings.steps:,} steps of {settings.batch_scenes} scenes",
        )


def describe_run(folder: Path) -> None:
    """Say how far a training run has come.

    Raises:
        RecipeError: Its recipe is damaged.
    """
    show("Run", f"{folder}")
    describe_recipe(str(folder / RECIPE_FILE))
    for curves in sorted(folder.rglob("metrics.csv")):
        last = _last_row(curves)
        if last:
            accuracy = last.get("val/accuracy")
            reached = f", pixel accuracy {100 * float(accuracy):.1f} %" if accuracy else ""
            where = printable(curves.parent.parent)
            show("Reached", f"{where}: step {last.get('step', '?')}{reached}")
    models = sorted(path.name for path in folder.glob("*.safetensors"))
    show("Model", ", ".join(models) or "not exported yet")


def _last_row(path: Path) -> dict[str, str]:
    """Return the last row of the curves that is complete; {} without one."""
    if path.stat().st_size > _LARGEST_CURVES_BYTES:
        return {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if None not in (*row, *row.values())]
    except csv.Error:
        return {}
    whole = [row for row in rows if all(map(_is_number, row.values()))]
    return whole[-1] if whole else {}


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _span(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} … {bounds[1]:g}"
