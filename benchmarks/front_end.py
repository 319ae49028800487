"""What it is worth to be told the imager: one recipe trained twice, with and without the optics.

    python benchmarks/front_end.py RUNS [RECIPE] [--steps 3000] > benchmarks/front_end.md

Both networks start from the same random weights and see the same scenes for as many steps; they are
scored on the same unseen scenes of imagers inside and outside the training family, told exactly.
A run that was interrupted goes on. `single-a` took 40 minutes, one thread beside other work.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fociscope import load_model
from fociscope.imager import Imager
from fociscope.simulation import simulate
from fociscope.training.finish import finish
from fociscope.training.recipe import Recipe
from fociscope.training.run import train

FRONT_ENDS = ("optics", "blind")
SEED = 9700
SCENES = 200


def main() -> None:
    """Train what is not trained yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("recipe", nargs="?", default="single-a")
    parser.add_argument("--steps", type=int, default=3000)
    asked = parser.parse_args()
    models = {name: trained(asked.recipe, asked.steps, name, asked.runs) for name in FRONT_ENDS}
    recipe = Recipe.load(asked.recipe)
    print(f"# Told the imager or not: `{asked.recipe}`, {asked.steps} steps\n")
    print(f"```sh\npython benchmarks/front_end.py RUNS {asked.recipe} --steps {asked.steps}\n```\n")
    print(
        f"From random weights, the same for both; {SCENES} unseen scenes under each condition,\n"
        "40 dB. `optics` is told the imager exactly, `blind` nothing.\n"
    )
    print("| imager | family | accuracy, optics (%) | blind | depth error, optics (µm) | blind |")
    print("|---|---|---|---|---|---|")
    for name, inside, imager in imagers(recipe):
        cells = [scores(models[front_end], imager, recipe) for front_end in FRONT_ENDS]
        (told, told_um), (blind, blind_um) = cells
        where = "inside" if inside else "outside"
        print(
            f"| {name} | {where} | {100 * told:.2f} | {100 * blind:.2f} "
            f"| {told_um:.1f} | {blind_um:.1f} |",
            flush=True,
        )


def trained(name: str, steps: int, front_end: str, runs: Path) -> Path:
    """Return the model of a recipe with a front end, trained unless it is there."""
    run = runs / f"{name}-{front_end}-{steps}"
    model = run / "model.safetensors"
    if model.is_file():
        return model
    recipe = Recipe.load(name)
    from_scratch = {"steps": steps, "learning_rate": 2e-3, "warmup_steps": 300, "threads": 1}
    plan = recipe.model_copy(
        update={
            "network": recipe.network.model_copy(update={"front_end": front_end}),
            "optimisation": recipe.optimisation.model_copy(update=from_scratch),
        }
    )
    done = train(plan, run, resume=(run / "checkpoints" / "last.ckpt").is_file())
    return finish(plan, done.best, model)


def imagers(recipe: Recipe) -> list[tuple[str, bool, Imager]]:
    """Return imagers by name, and whether training has drawn such ones."""
    reference = recipe.reference_imager
    least_deg, most_deg = recipe.family.half_angle_deg
    found = [
        (
            f"half angle {angle_deg}°",
            least_deg <= angle_deg <= most_deg,
            reference.with_(psf=reference.psf.with_(half_angle_deg=float(angle_deg))),
        )
        for angle_deg in (6, 10, 14, 18, 22, 26, 30, 34)
    ]
    found += [
        (f"pitch {pitch_um} µm", False, reference.with_(pixel_pitch_um=float(pitch_um)))
        for pitch_um in (40, 75)
    ]
    return [*found, ("gap 700 µm", False, reference.with_(gap_um=700.0))]


def scores(model: Path, imager: Imager, recipe: Recipe) -> tuple[float, float]:
    """Return pixel accuracy, and the mean absolute error of depth in um."""
    layers = recipe.validation.layers
    apart_um = recipe.validation.min_separation_um * imager.gap_um / recipe.imager.gap_um
    scenes = simulate(SCENES, seed=SEED, imager=imager, layers=layers, min_separation_um=apart_um)
    found = load_model(model, imager=imager, device="cpu").reconstruct(
        scenes.captures, layers=layers
    )
    right: Any = found.mask == scenes.mask
    return float(right.mean()), float(np.abs(found.depth_um - scenes.depth_um).mean())


if __name__ == "__main__":
    main()
