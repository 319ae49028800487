"""Training throughput on all cores: scenes per second of whole runs, simulation included.

    python benchmarks/training.py [ROW ...] > benchmarks/training.md

Each row trains twice, for a few steps and for more, and divides the scenes between by the seconds
between, so that the start cancels; compiled rows train a third time before, so that kernels lie in
torch's cache for both. One process for each core, one thread each. A quarter of an hour on two
cores; ROW is a number from 0 for some of the rows alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tomli_w
import torch

from fociscope.devices import has_bfloat16_units
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import Recipe
from fociscope.training.run import train

FEW, MORE = 60, 300
WANTED = 250

#: A recipe that says no more than it must: the default network, for two sensors and six layers.
DEFAULTS = Recipe.model_validate({"name": "defaults", "optimisation": {"steps": FEW}})
CASES = (
    ("layers-ab", "32-true", False),
    ("layers-ab", "bf16-mixed", False),
    ("layers-ab", "bf16-mixed", True),
    ("defaults", "32-true", False),
    ("defaults", "bf16-mixed", True),
    ("single-a", "bf16-mixed", True),
)


def seconds(recipe: Recipe, steps: int, processes: int, folder: Path) -> float:
    """Return how long a whole run takes."""
    plan = recipe.model_dump(mode="json", exclude_none=True, exclude={"stages"})
    plan["optimisation"] |= {"steps": steps, "threads": 1, "warmup_steps": 1}
    plan["validation"] |= {"scenes": 2 * processes, "every_steps": steps}
    plan["stream"]["pool_chunks"] = 4
    path = folder / f"{steps}.toml"
    path.write_text(tomli_w.dumps(plan))
    start = time.monotonic()
    command = [sys.executable, __file__, "--run", path, folder / f"run-{steps}", str(processes)]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def main() -> None:
    """Print the table."""
    processes = os.cpu_count() or 1
    print(f"# Training on {processes} cores\n\nMade by `python benchmarks/training.py`.\n")
    print("| recipe | precision | compiled | scenes/s | times float32 |\n|---|---|---|---|---|")
    plain: dict[str, float] = {}
    for row in [int(n) for n in sys.argv[1:]] or range(len(CASES)):
        name, precision, compiled = CASES[row]
        recipe = DEFAULTS if name == "defaults" else Recipe.load(name).stage_recipes()[-1]
        chosen = {"precision": precision, "compiled": compiled}
        recipe = recipe.model_copy(
            update={"optimisation": recipe.optimisation.model_copy(update=chosen)}
        )
        with tempfile.TemporaryDirectory() as folder:
            if compiled:
                seconds(recipe, 2, processes, Path(folder))
            few, more = (seconds(recipe, n, processes, Path(folder)) for n in (FEW, MORE))
        batch = recipe.optimisation.batch_scenes * processes
        rate = (MORE - FEW) * batch / (more - few)
        if precision == "32-true":
            plain[name] = rate
        times = f"{rate / plain[name]:.2f}" if name in plain else "-"
        print(f"| `{name}` | {precision} | {'yes' if compiled else 'no'} | {rate:.0f} | {times} |")
    units = "with" if has_bfloat16_units() else "without"
    print(f"\nWanted: {WANTED}. A processor {units} AMX, torch {torch.__version__}.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:  # one run, also of the processes that it starts
        recipe_path, run_folder, devices = sys.argv[2:]
        machines = ComputeSettings(accelerator="cpu", devices=int(devices))
        train(Recipe.load(recipe_path), Path(run_folder), compute=machines)
    else:
        main()
