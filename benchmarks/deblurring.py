"""A single layer without its blur: the networks beside the best that classical solvers can do.

    python benchmarks/deblurring.py [MODEL ...] > benchmarks/deblurring.md

51x51 pixels, reference conditions, 40 dB, one layer at any depth. The solvers are told the true
depth, which no capture offers, and each is tuned on validation scenes for every 100 um of depth by
itself; the networks find the depth themselves. The error is relative to the light squared, at each
scene's best gain. Ten minutes on one thread.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fociscope import load_model, simulate
from fociscope.imager import Imager
from fociscope.simulation.scene import Scenes
from fociscope.solvers import fista, richardson_lucy, tikhonov

VALIDATION_SEED, TEST_SEED = 9710, 9711
VALIDATION_SCENES, TEST_SCENES = 150, 400
STEP_UM = 100
SENSORS = {"single-a": (1, "sensor A alone"), "layers-ab": (2, "A and B")}
WANTED_SHARE, WANTED_ERROR = 0.7, 0.04
Floats = NDArray[np.float64]


class Setting(NamedTuple):
    """A solver and its options."""

    name: str
    solve: Callable[..., Any]
    options: dict[str, Any]


def settings() -> Iterator[Setting]:
    """Yield all that is tried of each solver."""
    for regularisation in ("gcv", 1e-4, 1e-3, 1e-2):
        options = {"non_negative": True, "regularisation": regularisation}
        yield Setting("Tikhonov", tikhonov, options)
    for iterations in (10, 30, 100, 300, 1000):
        options = {"iterations": iterations, "tolerance": 0}
        yield Setting("Richardson-Lucy", richardson_lucy, options)
    for penalty in ({"sparsity": 1e-5}, {"sparsity": 1e-4}, {"sparsity": 1e-3}, {"tv": 1e-4}):
        for iterations in (100, 300):
            options = penalty | {"iterations": iterations, "tolerance": 0}
            yield Setting("FISTA", fista, options)


def errors(layers: Any, scenes: Scenes) -> Floats:
    """Return (scene,) the relative squared error of the only layer, at its best gain."""
    found = np.asarray(layers, dtype=np.float64)[:, 0]
    true = scenes.layers[:, 0].astype(np.float64)
    overlap = (found * true).sum(axis=(1, 2))
    gain = overlap / np.maximum((found**2).sum(axis=(1, 2)), 1e-30)
    off = (gain[:, None, None] * found - true) ** 2
    return np.asarray(off.sum(axis=(1, 2)) / (true**2).sum(axis=(1, 2)))


def by_depth(error: Floats, scenes: Scenes) -> Floats:
    """Return (bin,) mean errors."""
    place = np.minimum(scenes.depth_um[:, 0] // STEP_UM, 9).astype(int)
    return np.array([error[place == n].mean() for n in range(10)])


def solved(setting: Setting, scenes: Scenes, imager: Imager) -> Floats:
    """Return (bin,) errors of a solver that is told the truth."""
    captures = scenes.captures[:, : imager.sensors]
    found = setting.solve(captures, scenes.depth_um, imager, **setting.options)
    return by_depth(errors(found.layers, scenes), scenes)


def tuned(validation: Scenes, test: Scenes, imager: Imager) -> dict[str, Floats]:
    """Return (bin,) errors on test scenes of each solver, at its best setting in every bin."""
    tried: dict[str, list[tuple[Floats, Floats]]] = {}
    for setting in settings():
        pair = solved(setting, validation, imager), solved(setting, test, imager)
        tried.setdefault(setting.name, []).append(pair)
    chosen = {}
    for name, pairs in tried.items():
        best = np.argmin([on_validation for on_validation, _ in pairs], axis=0)
        chosen[name] = np.array([pairs[pick][1][n] for n, pick in enumerate(best)])
    return chosen


def restored(name: str, refine: bool, scenes: Scenes) -> tuple[Floats, Floats]:
    """Return (bin,) errors of a network's light, and (bin,) of its depth in um."""
    model = load_model(name, device="cpu", refine=refine)
    captures = scenes.captures[:, : model.imager.sensors]
    found = model.reconstruct(captures, layers=1)
    off_um = np.abs(found.depth_um[:, 0] - scenes.depth_um[:, 0]).astype(np.float64)
    return by_depth(errors(found.intensity, scenes), scenes), by_depth(off_um, scenes)


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
    )
    models = parser.parse_args().models or list(SENSORS)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    reference = Imager.reference()
    validation, test = (
        simulate(count, seed=seed, layers=1, min_separation_um=0.0, imager=reference)
        for count, seed in ((VALIDATION_SCENES, VALIDATION_SEED), (TEST_SCENES, TEST_SEED))
    )
    print("# Deblurring a single layer\n\nMade by `python benchmarks/deblurring.py`: relative")
    print(f"squared error in %, {TEST_SCENES} unseen scenes. Solvers are told the true depth and")
    print("tuned for every row; the networks are told neither.")
    for name in models:
        sensors, what = SENSORS[name]
        solvers = tuned(validation, test, reference.with_(sensors=sensors))
        plain, depth_um = restored(name, False, test)
        refined, _ = restored(name, True, test)
        best = np.min(list(solvers.values()), axis=0)
        print(f"\n## `{name}`: {what}\n")
        columns = [name, f"{name}, refined", *solvers, "refined over the best solver"]
        print(f"| true depth (µm) | {' | '.join(columns)} | depth error of {name} (µm) |")
        print("|---|" + "---|" * (len(columns) + 1))
        for n in range(10):
            cells = [plain[n], refined[n], *(found[n] for found in solvers.values())]
            print(
                f"| {n * STEP_UM} to {(n + 1) * STEP_UM} | "
                + " | ".join(f"{100 * cell:.2f}" for cell in cells)
                + f" | {refined[n] / best[n]:.2f} | {depth_um[n]:.1f} |"
            )
        share = (refined <= WANTED_SHARE * best).sum()
        print(
            f"\nAt most {WANTED_SHARE:g} of the best solver's error in {share} of 10 rows; ", end=""
        )
        good = refined <= WANTED_ERROR
        print(f"at most {100 * WANTED_ERROR:g} % in {good.sum()}.")


if __name__ == "__main__":
    main()
