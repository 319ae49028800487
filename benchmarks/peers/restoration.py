"""Restorations beside other packages': accuracy and time on the same scenes, in one run.

OMP_NUM_THREADS=2 python benchmarks/peers/restoration.py > benchmarks/peers/restoration.md

In the peers' environment (README.md); a package that is missing is reported as such, and the rest
is measured. Scenes are the first ones of the reference suite's conditions `reference` and
`single-layer`; parameters are chosen on the suite's validation scenes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from importlib import metadata
from typing import Any, NamedTuple

import by_deepinv
import by_fociscope
import by_lensless
import by_scikit_image
import numpy as np
import torch
from about import ABOUT
from numpy.typing import NDArray
from restored import Given, Restoration, Tuned, validation_scenes

from fociscope.evaluation._scores import ScoreAccumulator
from fociscope.evaluation.batches import Batch, Prediction
from fociscope.evaluation.methods import ReconstructionMethod, find_method
from fociscope.evaluation.methods.solvers import VALIDATION_SCENES
from fociscope.evaluation.results import MethodScores
from fociscope.evaluation.run import BOOTSTRAP_SEED
from fociscope.evaluation.suite import Condition, find_suite
from fociscope.report.cells import number

#: As `fociscope evaluate` runs them, with the depths searched for, and told (`-oracle`).
OURS = (
    "layers-ab", "tikhonov", "richardson-lucy", "fista", "admm",
    "tikhonov-oracle", "richardson-lucy-oracle", "fista-oracle", "admm-oracle",
)  # fmt: skip
RESTORATIONS: tuple[Restoration, ...] = (
    *by_fociscope.RESTORATIONS,
    *by_deepinv.RESTORATIONS,
    *by_lensless.RESTORATIONS,
    *by_scikit_image.RESTORATIONS,
)
#: Scenes that are handed over together; the time per scene is the median over such batches.
BATCH = 10
CONDITIONS = {
    "reference": "Four layers",
    "single-layer": "One layer: deblurring",
}


class Row(NamedTuple):
    """A line of the table, and how its answers are made ready: all but the work that is timed."""

    package: str
    method: str
    inputs: str
    at_once: bool
    ready: Callable[[Batch], Callable[[], Prediction]]
    chosen: str
    light: Callable[[Batch], NDArray[np.float32]] | None = None
    """The layers whose error is scored, where other parameters serve these better."""


def main() -> None:
    arguments = parsed()
    suite = find_suite("reference")
    conditions = [c for c in suite.conditions if c.name in CONDITIONS]
    print("# Restorations, beside other packages\n")
    print(
        f"Made by `python benchmarks/peers/restoration.py --scenes {arguments.scenes}`: the first "
        f"{arguments.scenes} scenes of two conditions of the suite `reference`, version "
        f"{suite.version}; 51 x 51 pixels, peak SNR 40 dB, simulation only.\n"
    )
    print(
        ABOUT.format(
            batch=min(BATCH, arguments.scenes),
            validation=arguments.validation,
            theirs=VALIDATION_SCENES,
        )
    )
    absent = {r.package: why for r in RESTORATIONS if (why := missing(r.module))}
    for condition in conditions:
        table(condition, arguments.scenes, arguments.validation, absent)
    for package, why in absent.items():
        print(f"{package}: not installed ({why}).\n")
    packages = dict.fromkeys(["torch", "numpy", "scipy", *(r.package for r in RESTORATIONS)])
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in packages if p not in absent)
    load, cores = os.getloadavg()[2], os.cpu_count() or 1
    print(
        f"Threads: {torch.get_num_threads()}, on {cores} cores of {platform.machine()} whose load "
        f"was {load:.1f} in the last 15 minutes, this run included."
    )
    if load > cores:
        print(
            "**Others were using the cores: the times, and their order, are not to be relied on.**"
        )
    print(f"\nPython {platform.python_version()}; {versions}.")


def parsed() -> argparse.Namespace:
    def from_to(least: int, most: int) -> Callable[[str], int]:
        def number(text: str) -> int:
            value = int(text)
            if not least <= value <= most:
                raise argparse.ArgumentTypeError(f"must be {least} to {most}; got {value}")
            return value

        return number

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--scenes", type=from_to(1, 400), default=30, help="of each condition, 1 to 400 (30)"
    )
    parser.add_argument(
        "--validation", type=from_to(1, 100), default=12, help="scenes to tune on, 1 to 100 (12)"
    )
    return parser.parse_args()


def missing(module: str) -> str | None:
    """Return why a package cannot be used; None if it can."""
    try:
        importlib.import_module(module)
    except (ImportError, RuntimeError) as cause:  # RuntimeError: torchvision beside a CPU torch
        return str(cause).splitlines()[0]
    return None


def table(condition: Condition, scenes: int, validation: int, absent: dict[str, str]) -> None:
    """Print the rows of one condition as they come."""
    some = condition.model_copy(update={"scenes": scenes})
    whole = Batch.from_scenes(some.simulated(scenes), cells_per_pixel=1.0)
    warm = validation_scenes(condition, validation)
    print(f"## {CONDITIONS[condition.name]} (`{condition.name}`, {scenes} scenes)\n")
    print(
        "| package | method | told | accuracy (%) | Dice (%) | MCC | squared error of layers "
        "(%) | ms per scene | batches | chosen |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    last: dict[str, Any] = {}
    for row in rows(some, warm, absent):
        if isinstance(row, str):
            print(row, flush=True)
            continue
        start = time.perf_counter()
        try:
            last, spent_ms = scored(row, whole, warm, some)
        except Exception as cause:  # what a peer raises is for its reader
            print(f"| {row.package} | {row.method} | {row.inputs} | failed: {described(cause)} |"
                  + " |" * 6, flush=True)  # fmt: skip
            continue
        cells = " | ".join(shown(last, n) for n in ("accuracy", "dice", "mcc", "image_error"))
        print(
            f"| {row.package} | {row.method} | {row.inputs} | {cells} | "
            f"{spent_ms:.{0 if spent_ms >= 100 else 1}f} | "
            f"{'yes' if row.at_once else 'no'} | {row.chosen} |",
            flush=True,
        )
        log(f"{condition.name}: {row.package} {row.method}, {time.perf_counter() - start:.1f} s")
    if last:
        accuracy, dice, error = (
            shown(last, n) for n in ("constant_accuracy", "constant_dice", "even_image_error")
        )
        print(f"| constant baseline | | each frame's truth | {accuracy} | {dice} | 0 | {error} |"
              " | | |\n")  # fmt: skip


def rows(condition: Condition, warm: Batch, absent: dict[str, str]) -> Iterator[Row | str]:
    """Yield candidates, prepared; in words those that cannot run."""
    task = condition.task
    for name in OURS:
        method = prepared(name)
        knows = "A, B; depths" if method.oracle else "A, B; number of layers"
        if method.kind == "model":
            knows = "A, B"

        def ready(batch: Batch, which: ReconstructionMethod = method) -> Callable[[], Prediction]:
            return partial(which.estimate, batch, task)

        yield Row("fociscope", f"`{name}`", knows, True, ready, "defaults")
    for restoration in RESTORATIONS:
        start = f"| {restoration.package} | {restoration.name} | {restoration.sees}; depths |"
        if restoration.only_layers not in (None, condition.layers):
            continue
        if restoration.package in absent:
            yield f"{start} not installed |" + " |" * 6
            continue
        tuned = Tuned(restoration)
        began = time.perf_counter()
        try:
            tuned.tune(warm, condition.imager)
        except Exception as cause:  # as above
            yield f"{start} failed: {described(cause)} |" + " |" * 6
            continue
        log(f"tuned {restoration.package} {restoration.name}: {time.perf_counter() - began:.1f} s")

        def ready_tuned(batch: Batch, which: Tuned = tuned) -> Callable[[], Prediction]:
            return partial(which.answer, Given.of(batch, condition.imager))

        def light(batch: Batch, which: Tuned = tuned) -> NDArray[np.float32]:
            return which.layers(Given.of(batch, condition.imager), which.for_light)

        chosen, differ = named(tuned.for_cells), tuned.for_cells != tuned.for_light
        if differ:
            chosen += f"; for the error {named(tuned.for_light)}"
        yield Row(
            restoration.package, restoration.name, f"{restoration.sees}; depths",
            restoration.at_once, ready_tuned, f"tuned, of {len(restoration.grid)}: {chosen}",
            light if differ else None,
        )  # fmt: skip


def named(parameters: dict[str, Any]) -> str:
    """Return parameters in words; those that are switched on need none."""
    some = {k: f"{v:g}" if isinstance(v, float) else v for k, v in parameters.items()}
    return ", ".join(f"{k} {v}" for k, v in some.items() if v is not True)


@cache
def prepared(name: str) -> ReconstructionMethod:
    """Return one of our candidates, once for both conditions."""
    method = find_method(name)
    method.prepare()
    return method


def scored(row: Row, whole: Batch, warm: Batch, task: Condition) -> tuple[MethodScores, float]:
    """Return the scores, and the median time per scene in ms after a warm-up."""
    imager = task.imager
    accumulator = ScoreAccumulator(pixel_pitch_um=imager.pixel_pitch_um, deepest_um=imager.gap_um)
    row.ready(warm.first(2))()
    spent_ms = []
    for first in range(0, len(whole), BATCH):
        batch = part(whole, first, min(first + BATCH, len(whole)))
        work = row.ready(batch)
        start = time.perf_counter()
        estimate = work()
        spent_ms.append(1e3 * (time.perf_counter() - start) / len(batch))
        if row.light is not None:
            estimate = replace(estimate, intensity=row.light(batch))
        accumulator.add(batch, estimate)
    return accumulator.scores(seed=BOOTSTRAP_SEED, by_depth=False), statistics.median(spent_ms)


def part(batch: Batch, first: int, end: int) -> Batch:
    """Return some scenes of a batch of which all is known."""
    assert batch.mask is not None
    assert batch.depth_um is not None
    assert batch.layers is not None
    some = slice(first, end)
    return Batch(batch.captures[some], batch.mask[some], batch.depth_um[some], batch.layers[some])


def shown(scores: MethodScores, name: str) -> str:
    """Return a score with its interval; a single scene has none."""
    scale, digits = (1, 3) if name == "mcc" else (100, 1)
    return number(scores.score(name), scale=scale, digits=digits, interval=True)


def described(cause: Exception) -> str:
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0][:80]}"


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
