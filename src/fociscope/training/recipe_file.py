"""Files of recipes: what a run keeps of its recipe, and a new one to begin with."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import tomli_w

from fociscope.configuration import Configuration, parse_toml
from fociscope.errors import OutputExistsError, RecipeError
from fociscope.files.safe.atomic import atomic_path
from fociscope.imager.geometry import Imager
from fociscope.networks.layer_net import Architecture
from fociscope.networks.store import find_model, read_model
from fociscope.training.recipe import Recipe

__all__ = ["new_recipe", "recipe_toml", "write_recipe"]

#: Of neighbouring layers in a new recipe, and the share of the gap that they fill at most.
SEPARATION_UM, FILLED_SHARE = 250.0, 0.75
#: How far the family of a new recipe reaches around the imager, in degrees and in pixels.
AROUND_HALF_ANGLE_DEG, AROUND_BASE_BLUR_PX = 4.0, 0.5
#: Half angles that a PSF may have, in degrees.
HALF_ANGLES_DEG = (4.0, 60.0)
#: Of the captures in training, as far as the camera reaches.
PEAK_SNR_DB = (18.0, 50.0)


def recipe_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML, with what differs from the defaults and nothing else.

    Args:
        recipe: Recipe to write.

    Returns:
        Text from which `Recipe.load` reads an equal recipe.
    """
    dumped = recipe.model_dump(mode="json", exclude_none=True)
    return tomli_w.dumps(_differing(recipe, dumped))


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe to a TOML file, replacing one that is there.

    Args:
        recipe: Recipe to write.
        path: Path of the file.

    Raises:
        FociscopeError: if the disk refuses.
    """
    with atomic_path(path, overwrite=True) as part:
        part.write_text(recipe_toml(recipe), encoding="utf-8")


def new_recipe(
    path: Path | str, *, imager: Path | str | None = None, start_from: Path | str | None = None
) -> Recipe:
    """Write a short, commented recipe that trains as it is; a file that exists is left alone.

    Args:
        path: Path of the recipe, a `.toml` file; its name becomes that of the model.
        imager: File of the imager; without one, the reference imager is written out.
        start_from: Shipped model, or `.safetensors` file, whose weights training is to start from:
            the recipe gets its network, and the few, small steps of a fine-tuning.

    Returns:
        The recipe.

    Raises:
        RecipeError: if `path` is no `.toml` file, or imager and model do not fit together.
        OutputExistsError: if `path` exists.
        ImagerError: if the imager's file describes none.
        ModelError: if the model is unknown or damaged.
        FileFormatError: if a file does not exist.

    Examples:
        >>> from fociscope.training import new_recipe
        >>> recipe = new_recipe("my-chip.toml")
        >>> recipe.name, recipe.network.sensors
        ('my-chip', 2)
    """
    path = Path(path)
    if path.suffix != ".toml":
        raise RecipeError(f"{path}: the name of a recipe must end in .toml", value=str(path))
    if path.exists():
        raise OutputExistsError(
            f"{path}: exists already, and a recipe is never replaced; choose another name"
        )
    chip = Imager() if imager is None else Imager.load(imager)
    text = "\n".join(
        [
            f"# Recipe of the model {_name(path)}. What it does not name keeps its default; every",
            "# key is explained in docs/training.md.",
            f'name = "{_name(path)}"',
            "",
            *_imager_lines(chip, _imager_name(imager, path)),
            *_family_lines(chip),
            *_training_lines(chip, start_from),
            "",
        ]
    )
    content = text.encode("utf-8")
    # Checked as it will be read, before it is written.
    recipe = parse_toml(
        Recipe, content, source=path, error=RecipeError, context={"folder": path.parent}
    )
    with atomic_path(path) as part:
        part.write_bytes(content)
    return recipe


def _differing(value: Any, dumped: Any) -> Any:
    """Return a value for a file, of each table the fields that differ from the defaults.

    Args:
        value: Configuration, container of such, or plain value.
        dumped: The same as pydantic writes it.
    """
    if isinstance(value, Configuration):
        kept = {}
        for name, field in type(value).model_fields.items():
            one = getattr(value, name)
            is_default = one == field.get_default(call_default_factory=True)
            if name in dumped and (name == "kind" or not is_default):
                kept[name] = _differing(one, dumped[name])
        return kept
    if isinstance(value, dict):
        return {name: _differing(value[name], one) for name, one in dumped.items()}
    if isinstance(value, tuple | list):
        return [_differing(one, other) for one, other in zip(value, dumped, strict=True)]
    return dumped


def _name(path: Path) -> str:
    """Return the file's name as a recipe may be called."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return name or "my-model"


def _imager_name(imager: Path | str | None, recipe: Path) -> str | None:
    """Return what the recipe calls its imager: the name of a preset, or a path; None for none."""
    if imager is None or str(imager) in Imager.presets():
        return None if imager is None else str(imager)
    return _relative(Path(imager), recipe)


def _relative(imager: Path, recipe: Path) -> str:
    """Return the imager's path as the recipe beside or above it names it."""
    try:
        return Path(os.path.relpath(imager, recipe.parent)).as_posix()
    except ValueError:  # on another drive
        return imager.resolve().as_posix()


def _imager_lines(chip: Imager, file: str | None) -> list[str]:
    if file is not None:
        return [
            "# The chip; the network has as many sensors.",
            f"imager = {json.dumps(file)}",
        ]
    height, width = chip.frame_px
    return [
        '# The chip. In place of this table, imager = "imager.toml" names a file, such as that',
        "# of a calibration.",
        "[imager]",
        f"pixel_pitch_um = {chip.square_pitch_um}",
        f"frame_px = [{height}, {width}]",
        f"sensors = {chip.sensors}                     # the network follows",
        f"gap_um = {chip.gap_um}",
        "[imager.psf]",
        f"half_angle_deg = {chip.psf.model_dump().get('half_angle_deg')}",
    ]


def _family_lines(chip: Imager) -> list[str]:
    psf = chip.psf.model_dump()
    angle_deg = float(psf.get("half_angle_deg", 18.0))
    blur_px = chip.psf.base_blur_um / chip.square_pitch_um
    low_deg = max(HALF_ANGLES_DEG[0], math.floor(angle_deg - AROUND_HALF_ANGLE_DEG))
    high_deg = min(HALF_ANGLES_DEG[1], math.ceil(angle_deg + AROUND_HALF_ANGLE_DEG))
    low_px = max(0.0, math.floor(10 * (blur_px - AROUND_BASE_BLUR_PX)) / 10)
    high_px = math.ceil(10 * (blur_px + AROUND_BASE_BLUR_PX)) / 10
    highest_db = min(PEAK_SNR_DB[1], float(math.floor(chip.camera.highest_peak_snr_db())))
    return [
        "",
        "# The imagers and the noise that scenes are drawn with: the wider, the safer on a chip",
        "# that is not exactly known, and the less accurate on one that is.",
        "[family]",
        f"half_angle_deg = [{float(low_deg)}, {float(high_deg)}]",
        f"base_blur_px = [{low_px}, {high_px}]",
        f"peak_snr_db = [{PEAK_SNR_DB[0]}, {highest_db}]",
        "exact_fraction = 0.9            # of the scenes: the network knows the imager exactly",
    ]


def _training_lines(chip: Imager, start_from: Path | str | None) -> list[str]:
    """Return the sections of scenes, network, optimisation and validation."""
    network, layers = Architecture(sensors=chip.sensors), 4
    if start_from is not None:
        info = read_model(find_model(start_from))[1]
        network, layers = info.architecture, info.layers
        if network.sensors < chip.sensors:
            raise RecipeError(
                f"{start_from} sees sensor A alone, the imager has {chip.sensors} sensors; name a "
                "model of two sensors, or an imager with sensors = 1"
            )
    apart_um = 0.0
    if layers > 1:
        fits_um = FILLED_SHARE * chip.gap_um / (layers - 1)
        apart_um = min(SEPARATION_UM, float(math.floor(fits_um)))
    often = ", ".join(["1"] * layers)
    shape = ["", "[network]", f"layers = {network.layers}                      # at most"]
    steps = ["steps = 9000", "threads = 2                     # cores of the processor"]
    every, patience = 500, 0
    if start_from is not None:
        shape[1] += "                       # that of the model whose weights training starts from"
        values = network.model_dump(mode="json", exclude={"sensors", "layers"})
        shape += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        steps = [
            "steps = 600",
            "learning_rate = 2e-4            # a tenth of what training from nothing takes",
            "warmup_steps = 30",
            "ema_decay = 0.98",
            *steps[1:],
        ]
        every, patience = 50, 4
    return [
        "",
        "[scenes]",
        f"min_separation_um = [{apart_um}, {apart_um}]  # of neighbouring layers",
        f"layer_counts = [{often}]     # how often a scene has 1, 2, ... layers",
        "",
        "[[scenes.others]]               # the other scenes show the default specimen",
        "share = 0.5",
        'specimen = { kind = "any-tissue" }',
        *shape,
        "",
        "[optimisation]",
        *steps,
        "",
        "[validation]                    # the scenes that choose the best weights",
        f"layers = {layers}",
        f"min_separation_um = {apart_um}",
        f"every_steps = {every}",
        f"patience = {patience}                    # ends after so many no better; 0: never",
    ]
