"""Guarantees of `fociscope calibrate-model`, counted on captures that had no part in them.

    python benchmarks/guarantees.py [--captures 200] > benchmarks/guarantees.md

Twenty conditions of the second simulator, on none of which a network was trained: its families with
four layers and with one, and three with more noise. In each, `layers-ab` is calibrated on some
captures, and what was promised is counted on as many others. The best possible bar of a condition
is the one half-width that holds exactly the share of the depths counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch

from fociscope.evaluation import Batch, ReconstructionTask, find_method
from fociscope.evaluation.guarantees import (
    FACTORS,
    THRESHOLDS,
    depth_bars,
    false_foci,
    losses_of,
)
from fociscope.evaluation.independent import FAMILIES, draw_scenes
from fociscope.imager import Imager

MOST_FALSE, LEAST_INSIDE, CONFIDENCE = 0.05, 0.9, 0.95
STEP, SEED = 40, 81_000
WITHOUT_CELLS, WITH_SEVERAL_LAYERS = ("clouds",), ("mixed",)


def conditions() -> list[tuple[str, int, float]]:
    """Return families, numbers of layers and peak SNRs in dB."""
    families = [name for name in FAMILIES if name not in WITHOUT_CELLS]
    ones = [name for name in families if name not in WITH_SEVERAL_LAYERS]
    noisy = [("spectral-foci", 4, 30.0), ("clusters", 4, 30.0), ("glands", 1, 30.0)]
    usual = [(name, 4, 40.0) for name in families] + [(name, 1, 40.0) for name in ones]
    return usual + noisy


def batches(family: str, layers: int, snr_db: float, first: int, count: int) -> Iterator[Batch]:
    """Yield scenes, a few at a time."""
    for start in range(first, first + count, STEP):
        scenes = draw_scenes(
            family,
            min(STEP, first + count - start),
            seed=SEED,
            first=start,
            layers=layers,
            peak_snr_db=snr_db,
        )
        yield Batch(scenes.captures, scenes.mask, scenes.depth_um, scenes.layers, None)


def main() -> None:
    """Print the table, the worst row first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captures", type=int, default=200)
    count = parser.parse_args().captures
    torch.set_num_threads(1)
    method = find_method("layers-ab", device="cpu")
    rows = []
    for family, layers, snr_db in conditions():
        task = ReconstructionTask(Imager.reference(), layers, 250.0)
        ours, others = (
            losses_of(method, batches(family, layers, snr_db, first, count), task)
            for first in (0, count)
        )
        foci = false_foci(ours, MOST_FALSE, CONFIDENCE)
        bars = depth_bars(ours, LEAST_INSIDE, CONFIDENCE)
        threshold = np.inf if foci is None else foci.threshold
        factor = np.inf if bars is None else bars.factor
        false = others.foci[:, np.searchsorted(THRESHOLDS, threshold - 1e-9)].mean()
        inside = 1 - others.depth[:, np.searchsorted(FACTORS, factor * (1 - 1e-9))].mean()
        error, std = others.bars.T
        wide = factor * std.mean() / np.quantile(error, LEAST_INSIDE)
        rows.append(
            (
                max(false / MOST_FALSE, (1 - inside) / (1 - LEAST_INSIDE)),
                f"{family}, {layers} layer{'s' * (layers > 1)}, {snr_db:g} dB",
                others.foci[:, 0].mean(),
                threshold,
                false,
                others.kept(threshold),
                inside,
                wide,
            )
        )
    rows.sort(reverse=True)
    kept = sum(row[0] <= 1 for row in rows)
    print("# Guarantees, counted\n\nMade by `python benchmarks/guarantees.py`.\n")
    print(
        f"{count} captures for each calibration, {count} others to count on; at most "
        f"{100 * MOST_FALSE:g} % of the foci false and at least {100 * LEAST_INSIDE:g} % of the "
        f"depths inside, with a confidence of {100 * CONFIDENCE:g} %. Both kept in {kept} of "
        f"{len(rows)} conditions.\n"
    )
    print(
        "| condition | false foci without it (%) | threshold | false foci (%) | true foci kept (%) "
        "| depths inside (%) | bar, times the best possible |\n|---|---|---|---|---|---|---|"
    )
    for _, name, before, threshold, false, share, inside, wide in rows:
        shown = "none will do" if np.isinf(threshold) else f"{threshold:.3f}"
        print(
            f"| {name} | {100 * before:.1f} | {shown} | {100 * false:.1f} | {100 * share:.1f} "
            f"| {100 * inside:.1f} | {wide:.2f} |"
        )


if __name__ == "__main__":
    main()
