"""Shapes of real nuclei, as a microscope saw them, through the second simulator's optics.

    python benchmarks/real_nuclei.py [MODEL ...]

prints a table of models on layers cut out of the 2D image of nuclei that StarDist's wheel on PyPI
brings with its labels (Schmidt et al., MICCAI 2018). The wheel goes into a temporary folder and is
not installed; nothing of it becomes part of the package.

A pixel of the image counts as a sub-pixel, a fifth of the imager's, so that a nucleus is about as
wide as four pixels of the imager: shapes that nobody drew, at the size of foci.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from fociscope.evaluation import Batch, ReconstructionTask, ScoreAccumulator, find_method
from fociscope.evaluation.independent import SUBPIXELS, Optics, add_camera_noise, binned
from fociscope.imager import Imager

WHEEL = "stardist==0.9.2"
IMAGE, LABELS = "stardist/data/images/img2d.tif", "stardist/data/images/mask2d.tif"
SCENES, SEED, PEAK_SNR_DB, SEPARATION_UM = 48, 6000, 40.0, 250.0


def fetched() -> tuple[np.ndarray, np.ndarray]:
    """Return the image of nuclei (y, x) and its labels (y, x)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run(
            [*command, "--only-binary", ":all:", "--dest", folder, WHEEL],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            image, labels = (
                tifffile.imread(io.BytesIO(content.read(name))) for name in (IMAGE, LABELS)
            )
    return image.astype(np.float64), labels


def drawn(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    """Return light (y, x) of sub-pixels and mask (y, x) of pixels of a layer cut out anywhere."""
    side = 51 * SUBPIXELS
    y, x = (int(rng.integers(0, whole - side + 1)) for whole in image.shape)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def cut(whole: np.ndarray) -> np.ndarray:
        part = np.rot90(whole[y : y + side, x : x + side], turns)
        return part[::-1] if flip else part

    mask = binned((cut(labels) > 0).astype(np.float64)) >= SUBPIXELS**2 / 2
    dark = np.percentile(image, 1)
    light = np.maximum(cut(image) - dark, 0)
    return light / (binned(light)[mask].mean() if mask.any() else light.sum()), mask


def scenes(count: int, layers: int) -> Batch:
    """Return scenes of layers of nuclei at random depths."""
    image, labels = fetched()
    optics, parts = Optics(), []
    separation_um = SEPARATION_UM if layers > 1 else 0.0
    for number in range(count):
        rng = np.random.default_rng([SEED, layers, number])
        slack_um = optics.gap_um - (layers - 1) * separation_um
        depth_um = np.sort(rng.uniform(0, slack_um, layers)) + separation_um * np.arange(layers)
        made = [drawn(rng, image, labels) for _ in range(layers)]
        light, mask = (np.stack(part) for part in zip(*made, strict=True))
        captures = add_camera_noise(rng, optics.project(light, depth_um), PEAK_SNR_DB)
        parts.append((captures, mask, depth_um, binned(light)))
    captures, mask, depth_um, light = (np.stack(part) for part in zip(*parts, strict=True))
    return Batch(
        captures.astype(np.float32), mask, depth_um.astype(np.float32), light.astype(np.float32)
    )


def main() -> None:
    """Print the table."""
    names = sys.argv[1:] or ["layers-ab", "layers-a", "single-a"]
    print(
        "| model, layers | Dice | accuracy, constant (%) | depth error, constant (µm) "
        "| within one std (%) | ECE (%) | flagged (%) |"
    )
    print("|---|---|---|---|---|---|---|")
    for layers in (4, 1):
        batch = scenes(SCENES, layers)
        task = ReconstructionTask(Imager.reference(), layers, SEPARATION_UM if layers > 1 else 0.0)
        for name in names:
            method = find_method(name, device="cpu")
            if method.unsupported_reason(task) is not None:
                continue
            scored = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
            scored.add(batch, method.estimate(batch, task))
            s = scored.scores(seed=0, by_depth=False)
            share = {k: 100 * s.value(k) for k in ("dice", "accuracy", "constant_accuracy")}
            print(
                f"| {name}, {layers} | {share['dice'] / 100:.2f} | {share['accuracy']:.1f}, "
                f"{share['constant_accuracy']:.1f} | {s.value('depth_error_um'):.0f}, "
                f"{s.value('constant_depth_error_um'):.0f} "
                f"| {100 * s.value('within_one_std'):.0f} "
                f"| {100 * s.value('calibration_error'):.1f} | {100 * s.value('flagged'):.0f} |"
            )


if __name__ == "__main__":
    main()
