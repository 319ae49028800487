"""What `fociscope adapt` gives back where the imager is stated wrongly and the tissue is unknown.

    python benchmarks/adapt.py runs/ > table.md

Captures come from the second simulator (`fociscope.evaluation.independent`), whose families no
model was trained on. Each trial is a chip of 14 or 22 degrees that is stated to have 18, and a
family: 100 captures without truth to adapt by, and 150 others, whose truth is known, to score by.
Trials that lie in `runs/` already are not run again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import fociscope
from fociscope.evaluation.generalisation import optics_of
from fociscope.evaluation.independent import draw_scenes
from fociscope.imager import Imager
from fociscope.series import ReconstructionOptions

FAMILIES = (
    "spectral-foci",
    "clusters",
    "single-cells",
    "strands",
    "network",
    "glands",
    "dead-leaves",
    "sheets",
    "mixed",
)
TRUE_DEG, STATED_DEG, SNR_DB = (22.0, 14.0), 18.0, 40.0
SEEN, SCORED = 100, 150
SEED = 8_100


def imager_of(half_angle_deg: float) -> Imager:
    """Return the reference imager with another half angle."""
    imager = Imager.reference()
    return imager.with_(psf=imager.psf.with_(half_angle_deg=half_angle_deg))


def drawn(family: str, half_angle_deg: float, count: int, seed: int):
    """Return scenes of the second simulator."""
    return draw_scenes(
        family,
        count,
        seed=seed,
        layers=4,
        min_separation_um=250.0,
        optics=optics_of(imager_of(half_angle_deg)),
        peak_snr_db=SNR_DB,
    )


def scored(model: Path | str, told: Imager | None, scenes) -> dict[str, float]:
    """Return accuracy in percent, Dice and depth error in um of a model on scenes."""
    result = fociscope.load_model(model, imager=told, device="cpu").reconstruct(
        np.asarray(scenes.captures, np.float32)
    )
    mask = np.asarray(scenes.mask, bool)
    both = (result.mask & mask).sum()
    has_cells = mask.any(axis=(-2, -1))
    error = np.abs(result.depth_um - scenes.depth_um)[has_cells]
    return {
        "accuracy": 100 * float((result.mask == mask).mean()),
        "dice": 2 * float(both) / max(1, int(result.mask.sum() + mask.sum())),
        "depth": float(error.mean()),
    }


def trial(family: str, true_deg: float, number: int, folder: Path) -> dict:
    """Adapt to one chip and tissue, and score before and after."""
    seen = drawn(family, true_deg, SEEN, SEED + 10 * number)
    unseen = drawn(family, true_deg, SCORED, SEED + 10 * number + 1)
    with tempfile.TemporaryDirectory() as scratch:
        np.save(f"{scratch}/seen.npy", np.asarray(seen.captures, np.float32))
        began = time.monotonic()
        cpu = time.process_time()
        done = fociscope.adapt(
            f"{scratch}/seen.npy",
            folder,
            ReconstructionOptions(
                model="layers-ab", imager=imager_of(STATED_DEG), layers=4, device="cpu"
            ),
            seed=number,
        )
        took, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "family": family,
        "true_deg": true_deg,
        "kept": done.kept,
        "found_deg": done.imager.psf.half_angle_deg,
        "before": scored("layers-ab", imager_of(STATED_DEG), unseen),
        "told": scored("layers-ab", imager_of(true_deg), unseen),
        "after": scored(done.model, None, unseen),
        "wall_s": took,
        "cpu_s": cpu,
    }


def table(rows: list[dict]) -> str:
    """Return the table, the worst change first."""

    def change(row: dict) -> float:
        accuracy = row["after"]["accuracy"] - row["before"]["accuracy"]
        depth = row["before"]["depth"] - row["after"]["depth"]
        return min(accuracy / 0.3, depth)

    lines = [
        "| tissue | true (stated 18°) | found | kept | pixels right (%): before, told the true "
        "imager, after | Dice | depth error (µm) | minutes of one core |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=change):
        ways = [row[name] for name in ("before", "told", "after")]
        lines.append(
            f"| {row['family']} | {row['true_deg']:g}° | {row['found_deg']:.1f}° | {row['kept']} | "
            + ", ".join(f"{way['accuracy']:.2f}" for way in ways)
            + " | "
            + ", ".join(f"{way['dice']:.2f}" for way in ways)
            + " | "
            + ", ".join(f"{way['depth']:.1f}" for way in ways)
            + f" | {row['cpu_s'] / 60:.1f} |"
        )
    worse = [
        row
        for row in rows
        if row["after"]["accuracy"] < row["before"]["accuracy"] - 0.3
        or row["after"]["depth"] > row["before"]["depth"] + 1.0
    ]
    lines += ["", f"Worse by more than 0.3 points or 1 µm: {len(worse)} of {len(rows)} trials."]
    for name, sign in (("accuracy", 1), ("depth", -1)):
        lost = sum(sign * (row["told"][name] - row["before"][name]) for row in rows)
        back = sum(sign * (row["after"][name] - row["before"][name]) for row in rows)
        lines.append(
            f"Of the {name} that the wrong half angle costs, {lost:.1f} in all trials, {back:.1f} "
            f"came back ({100 * back / lost:.0f} %)."
        )
    return "\n".join(lines)


def main() -> None:
    """Run the trials that are missing, and print the table."""
    torch.set_num_threads(1)
    runs = Path(sys.argv[1])
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 10**6
    runs.mkdir(parents=True, exist_ok=True)
    pairs = [
        (family, TRUE_DEG[(n + turn) % 2]) for turn in (0, 1) for n, family in enumerate(FAMILIES)
    ]
    rows = []
    for number, (family, deg) in enumerate(pairs[:most]):
        record = runs / f"{family}-{deg:g}.json"
        if not record.exists():
            row = trial(family, deg, number, runs / f"{family}-{deg:g}")
            record.write_text(json.dumps(row))
            print(family, deg, row, file=sys.stderr, flush=True)
        rows.append(json.loads(record.read_text()))
    print(table(rows))


if __name__ == "__main__":
    main()
