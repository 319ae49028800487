"""How often `reconstruct` hints at `locate`: for captures of a few emitters, and for tissue.

python benchmarks/sparse_hint.py
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from locate import FRAME_PX, draw, exposed

from fociscope.evaluation.suite import find_suite
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse
from fociscope.reconstruction import Model, load_model
from fociscope.workflows._sparse import sparse_hint

#: Captures of each condition of the reference suite, and of those that come nearest to emitters.
TISSUE, NEAR = 6, {"specimen-micro-foci": 60, "specimen-single-cells": 60, "snr-20": 20,
                   "coverage-5": 20}  # fmt: skip
MOST_EMITTERS = 12

Captures = Iterator[tuple[Model, np.ndarray]]


def sparse(sensors: int, count: int, seed: int) -> Captures:
    """Yield captures of 1 to 12 emitters at 40 dB."""
    model = load_model("layers-ab" if sensors == 2 else "layers-a", device="cpu")
    response = EmitterResponse(Imager.reference().with_(sensors=sensors), FRAME_PX)
    rng = np.random.default_rng(seed)
    for number in range(count):
        places, light = draw(rng, int(rng.integers(1, MOST_EMITTERS + 1)))
        yield model, exposed(response, places, light, 900 + number).astype(np.float32)


def tissue() -> Captures:
    """Yield captures of all conditions of the reference suite."""
    for condition in find_suite("reference").conditions:
        model = load_model("layers-ab", device="cpu", imager=condition.task.imager)
        scenes = condition.simulated(NEAR.get(condition.name, TISSUE), first=20)
        for capture in scenes.captures:
            yield model, capture


def rate(name: str, captures: Captures) -> None:
    """Print how many captures get the hint."""
    hints = [bool(sparse_hint(model.reconstruct(capture))) for model, capture in captures]
    print(f"{name}: {sum(hints)} of {len(hints)}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rate("1 to 12 emitters, sensors A and B", sparse(2, 60, 5))
    rate("1 to 12 emitters, sensor A alone", sparse(1, 50, 6))
    rate("tissue of the reference suite", tissue())
