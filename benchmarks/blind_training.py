"""Simulate chips of many kinds of tissue, and fit what blind calibration judges spectra by.

    python benchmarks/blind_training.py simulate FOLDER --seed 0 --chips 400
    python benchmarks/blind_training.py simulate FOLDER --seed 1 --chips 100
    python benchmarks/blind_training.py fit FOLDER [--output FILE]

These are the chips of the shipped file. The first commands take a second or two a chip, and may run
at once, with other seeds for more; the last one writes `capture_width.safetensors` of the package
in seconds. Kinds of specimens that are for tests alone (`HELD_OUT_KINDS`, and all of the second
simulator) are not among them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fociscope.calibration._capture_spectra import (
    CaptureSpectra,
    capture_spectra,
    spectrum_features,
)
from fociscope.calibration._capture_width import WIDTH_FILE, fit_width_regression
from fociscope.evaluation.generalisation import HELD_OUT_KINDS
from fociscope.imager import Imager, Similarity
from fociscope.simulation import PerlinFoci, Varied, simulate

CAPTURES = 48
KINDS = (
    "perlin-foci", "varied", "varied", "any-tissue", "any-tissue", "any-tissue", "cellular-foci",
    "spectral-foci", "micro-foci", "single-cells", "nuclei", "sheets", "clouds",
)  # fmt: skip
LAYERS = (1, 2, 3, 4, 4, 4, 5, 6)
HALF_ANGLE_DEG, BASE_BLUR_PX, PEAK_SNR_DB = (8.5, 27.0), (0.0, 1.0), (32.0, 44.0)
NO_BLUR_SHARE = 0.2
STEP = 10
STREAM = 4242


def varied(rng: np.random.Generator) -> Varied:
    """Return foci whose size and coverage vary within bounds of this chip's own."""
    size_um = np.sort(np.exp(rng.uniform(np.log(300), np.log(3000), 2)))
    coverage = np.sort(rng.uniform(0.01, 0.9, 2))
    return Varied(
        specimen=PerlinFoci(),
        vary={"feature_um": tuple(size_um), "coverage": tuple(coverage)},
    )


def chip(rng: np.random.Generator) -> tuple[str, float, float, CaptureSpectra]:
    """Return the kind of tissue, half angle, base blur in pixels and spectra of a random chip."""
    kind = KINDS[rng.integers(len(KINDS))]
    angle = float(np.exp(rng.uniform(*np.log(HALF_ANGLE_DEG))))
    blur_px = 0.0 if rng.random() < NO_BLUR_SHARE else float(rng.uniform(*BASE_BLUR_PX))
    layers = int(rng.choice(LAYERS))
    boundary = ("zero", "reflect")[rng.integers(2)]
    peak_snr_db = rng.uniform(*PEAK_SNR_DB)
    apart_um = rng.choice([0.0, 100.0, 150.0] if layers > 4 else [100.0, 250.0, 250.0])
    specimen = varied(rng) if kind == "varied" else kind
    reference = Imager.reference()
    pitch_um = reference.square_pitch_um
    psf = reference.psf.with_(half_angle_deg=angle, base_blur_um=blur_px * pitch_um)
    scenes = simulate(
        CAPTURES, seed=int(rng.integers(2**30)), layers=layers, specimen=specimen,
        imager=reference.with_(psf=psf, boundary=boundary),
        peak_snr_db=float(peak_snr_db), min_separation_um=float(apart_um),
    )  # fmt: skip
    light = scenes.captures.astype(np.float64)
    return kind, angle, blur_px, capture_spectra(light, Similarity(), pitch_um)


def simulate_chips(folder: Path, seed: int, chips: int) -> None:
    """Write the spectra of simulated chips, some at a time."""
    assert not {*KINDS} & {*HELD_OUT_KINDS}
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([STREAM, seed])
    drawn = []
    for number in range(chips):
        drawn.append(chip(rng))
        if number % STEP == STEP - 1 or number == chips - 1:
            np.savez(
                folder / f"chips{seed}.npz",
                kind=[one[0] for one in drawn],
                truth=np.array([one[1:3] for one in drawn]),
                power=np.stack([one[3].power for one in drawn]).astype(np.float32),
                shape=np.stack([one[3].shape for one in drawn]).astype(np.float32),
            )
            print(f"{number + 1} of {chips}", flush=True)


def fit(folder: Path, output: Path) -> None:
    """Fit to all chips of a folder, print what unseen kinds are wrong by, and write the file."""
    features, answers, kinds = [], [], []
    for file in sorted(folder.glob("chips*.npz")):
        with np.load(file) as chips:
            power, shape = (chips[name].astype(np.float64) for name in ("power", "shape"))
            for one, other in zip(power, shape, strict=True):
                features.append(spectrum_features(CaptureSpectra(one, other, np.arange(len(one)))))
            kinds += [str(kind) for kind in chips["kind"]]
            answers.append(chips["truth"])
    truth = np.concatenate(answers)
    reference = Imager.reference()
    gap_px = reference.gap_um / reference.square_pitch_um
    # Foci of one kind of noise, whatever their numbers, are left out together.
    names = np.array(["foci" if kind in ("perlin-foci", "varied") else kind for kind in kinds])
    answer = np.stack([np.log(truth[:, 0] * gap_px), truth[:, 1]], axis=1)
    regression, errors = fit_width_regression(np.stack(features), answer, names)
    off = truth[:, 0] * (np.exp(errors[:, 0]) - 1)
    print(f"{len(truth)} chips; RMS errors where the kind of tissue was left out:")
    for name in (*np.unique(names), "all"):
        of = names == name if name != "all" else np.ones(len(names), dtype=bool)
        angle, blur = (np.sqrt(np.mean(e[of] ** 2)) for e in (off, errors[:, 1]))
        print(f"  {name:14s} {of.sum():4d} chips, {angle:.2f} degrees, {blur:.2f} pixels")
    regression.save(output)


def main() -> None:
    """Parse, and do one of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["simulate", "fit"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chips", type=int, default=500)
    parser.add_argument("--output", type=Path, default=WIDTH_FILE)
    options = parser.parse_args()
    if options.what == "simulate":
        simulate_chips(options.folder, options.seed, options.chips)
    else:
        fit(options.folder, options.output)


if __name__ == "__main__":
    main()
