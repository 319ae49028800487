"""Whether a model warns of an imager that did not take the captures, and stays silent otherwise.

    python benchmarks/wrong_imager.py [MODEL] > benchmarks/wrong_imager.md

The model is told the reference imager; the captures are of others. What is no capture at all, and
valid captures of many kinds, for which it must be silent, stand below. 40 dB unless a row says
otherwise. Three minutes on two threads.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fociscope import load_model, simulate
from fociscope.imager import Imager
from fociscope.simulation.tissue import PerlinFoci

SEED, SCENES = 9720, 200
Floats = NDArray[np.float32]


def taken(imager: Imager, **options: Any) -> Floats:
    """Return captures of an imager."""
    return simulate(SCENES, seed=SEED, imager=imager, **options).captures


def wrong(reference: Imager) -> Iterator[tuple[str, Floats]]:
    """Yield captures of imagers that the model is not told."""
    for angle_deg in (6, 10, 12, 14, 16, 20, 22, 25, 30, 40):
        psf = reference.psf.with_(half_angle_deg=float(angle_deg))
        yield f"half angle {angle_deg}°", taken(reference.with_(psf=psf))
    for blur_px in (0.5, 1.0, 2.0):
        psf = reference.psf.with_(base_blur_um=blur_px * reference.pixel_pitch_um)
        yield f"base blur {blur_px:g} pixels", taken(reference.with_(psf=psf))
    for gap_um in (500, 700, 1500, 2000):
        apart_um = 250.0 * gap_um / reference.gap_um
        imager = reference.with_(gap_um=float(gap_um))
        yield f"gap {gap_um} µm", taken(imager, min_separation_um=apart_um)
    for angle_deg in (14, 25):
        psf = reference.psf.with_(half_angle_deg=float(angle_deg))
        scenes = taken(reference.with_(psf=psf), peak_snr_db=25.0)
        yield f"half angle {angle_deg}°, 25 dB", scenes


def nonsense(reference: Imager) -> Iterator[tuple[str, Floats]]:
    """Yield what is no capture."""
    valid = taken(reference)
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[: valid.shape[-2], : valid.shape[-1]]
    yield "noise", rng.uniform(0, 1, valid.shape).astype(np.float32)
    board = 1.0 + (y // 4 + x // 4) % 2
    yield "a checkerboard", np.broadcast_to(board, valid.shape).astype(np.float32)
    yield "a slope", np.broadcast_to(1.0 + x / 51, valid.shape).astype(np.float32)
    limit = np.quantile(valid, 0.8, axis=(-2, -1), keepdims=True)
    yield "saturated in a fifth of the pixels", np.minimum(valid, limit)
    yield "sensor B upside down", np.concatenate([valid[:, :1], valid[:, 1:, ::-1]], axis=1)
    yield (
        "A and B of different scenes",
        np.concatenate([valid[:, :1], np.roll(valid[:, 1:], 1, axis=0)], axis=1),
    )


def right(reference: Imager) -> Iterator[tuple[str, Floats]]:
    """Yield captures that nothing is wrong with."""
    yield "reference", taken(reference)
    for snr_db in (20.0, 30.0, 50.0):
        yield f"{snr_db:g} dB", taken(reference, peak_snr_db=snr_db)
    for layers in (1, 2, 3):
        yield f"{layers} layer(s)", taken(reference, layers=layers)
    yield "tissue around the frame", taken(reference.with_(boundary="reflect"))
    small = PerlinFoci(coverage=(0.01, 0.2), feature_um=500.0, cell_diameter_um=30.0)
    yield "micro-foci", taken(reference, specimen=small)
    background = taken(reference)
    share = np.random.default_rng(SEED).uniform(0, 0.2, (*background.shape[:2], 1, 1))
    even = share * background.mean(axis=(-2, -1), keepdims=True)
    yield "a background of up to 20 %", (background + even).astype(np.float32)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="layers-ab")
    model = load_model(parser.parse_args().model, device="cpu")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    reference = Imager.reference()
    print(f"# Warnings of `{model.info.name}`, told the reference imager\n")
    print(f"Made by `python benchmarks/wrong_imager.py`: {SCENES} captures each.\n")
    for heading, captures_of, word in (
        ("Taken by another imager", wrong, "warned of"),
        ("No capture of any imager", nonsense, "warned of"),
        ("Nothing wrong", right, "warned of in vain"),
    ):
        print(f"| {heading} | {word} (%) | self-check residual A (%) | B (%) |\n|---|---|---|---|")
        for name, captures in captures_of(reference):
            found = model.reconstruct(captures[:, : model.imager.sensors])
            residual = np.atleast_2d(100 * np.nanmean(found.residual, axis=0))[0]
            cells = [f"{100 * (~found.plausible).mean():.1f}", *(f"{r:.1f}" for r in residual)]
            print(f"| {name} | {' | '.join([*cells, '-'][:3])} |", flush=True)
        print()


if __name__ == "__main__":
    main()
