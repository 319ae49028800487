"""How well `fociscope calibrate --from-captures` knows a chip, from tissue that nothing trained on.

    python benchmarks/blind_calibration.py run FOLDER    # again, it goes on where it was
    python benchmarks/blind_calibration.py table FOLDER > benchmarks/blind_calibration.md

Each chip has a half angle, base blur, gain and registration of its own, and takes 100 captures at
40 dB of one kind of specimen, or of several. All kinds are test-only: the first simulator's
`HELD_OUT_KINDS`, and families of the second one, whose sensors are in register (which the
calibration does not know). Ten minutes on one core.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

from fociscope.calibration import BlindCalibration, calibrate_captures
from fociscope.evaluation.independent import Optics, draw_scenes
from fociscope.imager import Imager
from fociscope.simulation import simulate

SEED, CAPTURES, PITCH_UM = 61_000, 100, 55.0
FIRST = ("strands", "networks", "glands", "dead-leaves", "rings")
SECOND = ("clusters", "single-cells", "spectral-foci", "sheets", "mixed")
MIXED = "mixed"
#: Name of the tissue, and its simulator.
CHIPS = (
    *((name, 1) for name in (*FIRST, MIXED)),
    *((name, 2) for name in SECOND),
    *((name, 1) for name in ("strands", "networks", "glands", "dead-leaves", MIXED)),
)  # fmt: skip
QUANTITIES = {
    "half angle (deg)": ("half_angle_deg", 1.0, 0.7),
    "base blur (px)": ("base_blur_um", PITCH_UM, 0.15),
    "shift y (px)": ("shift_y_um", PITCH_UM, 0.1),
    "shift x (px)": ("shift_x_um", PITCH_UM, 0.1),
    "rotation (deg)": ("rotation_deg", 1.0, 0.1),
    "gain of B": ("gain_b", 1.0, None),
}  # fmt: skip


def simulate_chip(number: int, tissue: str, simulator: int) -> dict[str, np.ndarray]:
    """Return the captures of a chip, and its truth in the order of QUANTITIES."""
    rng = np.random.default_rng([SEED, number])
    angle, blur_px = rng.uniform(11, 24), rng.uniform(0, 0.7)
    shift_px, rotation, gain = rng.uniform(-2, 2, 2), rng.uniform(-1, 1), rng.uniform(0.85, 1.15)
    if simulator == 2:
        optics = Optics(half_angle_deg=angle, base_blur_um=blur_px * PITCH_UM)
        scenes = draw_scenes(tissue, CAPTURES, seed=SEED + number, optics=optics)
        captures, shift_px, rotation, gain = scenes.captures, np.zeros(2), 0.0, 1.0
    else:
        reference = Imager.reference()
        imager = reference.with_(
            psf=reference.psf.with_(half_angle_deg=angle, base_blur_um=blur_px * PITCH_UM),
            registration={"shift_um": tuple(shift_px * PITCH_UM), "rotation_deg": rotation},
            sensor_gains=(1.0, gain),
            boundary=("zero", "reflect")[number % 2],
        )
        kinds = FIRST if tissue == MIXED else (tissue,)
        each = CAPTURES // len(kinds)
        parts = [simulate(each, seed=SEED + number, specimen=kind, imager=imager) for kind in kinds]
        captures = np.concatenate([part.captures for part in parts])
    truth = np.array([angle, blur_px, *shift_px, rotation, gain])
    return {"captures": captures, "truth": truth}


def run(folder: Path) -> None:
    """Simulate and calibrate all chips that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (tissue, simulator) in enumerate(CHIPS):
        chip, found = folder / f"chip{number:02d}.npz", folder / f"found{number:02d}.npy"
        if not chip.exists():
            np.savez(chip, **simulate_chip(number, tissue, simulator))
        if not found.exists():
            with np.load(chip) as arrays, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                np.save(found, found_of(calibrate_captures(arrays["captures"])))
            print(chip.name, tissue, flush=True)


def found_of(calibration: BlindCalibration) -> np.ndarray:
    """Return (quantity, 2) values and deviations, in the units of the table."""
    rows = []
    for name, unit, _ in QUANTITIES.values():
        estimate = calibration.estimates[name]
        rows.append((estimate.value / unit, estimate.std / unit))
    return np.array(rows)


def table(folder: Path) -> None:
    """Print the table: RMS errors, what intervals cover, and each chip, the worst angle first."""
    rows, names, truths = [], [], []
    for number, (tissue, simulator) in enumerate(CHIPS):
        if not (folder / f"found{number:02d}.npy").exists():
            continue
        rows.append(np.load(folder / f"found{number:02d}.npy"))
        with np.load(folder / f"chip{number:02d}.npz") as chip:
            truths.append(chip["truth"])
        names.append(f"{tissue}, simulator {simulator}")
    found, truth = np.array(rows), np.array(truths)
    error, std = found[..., 0] - truth, found[..., 1]
    known = np.isfinite(std)
    print("# Blind calibration\n\nMade by `python benchmarks/blind_calibration.py`: "
          f"{len(names)} chips, {CAPTURES} captures each at 40 dB, four layers, tissue that "
          "nothing was trained on.\n")  # fmt: skip
    print("| | RMS error | to reach | determined in | errors within the stated deviation (%) |\n"
          "|---|---|---|---|---|")  # fmt: skip
    for n, (name, (_, _, target)) in enumerate(QUANTITIES.items()):
        of = known[:, n]
        rms = np.sqrt(np.mean(error[of, n] ** 2))
        inside = 100 * np.mean(np.abs(error[of, n]) < std[of, n])
        print(f"| {name} | {rms:.3f} | {target or ''} | {of.sum()} of {len(of)} | {inside:.0f} |")
    print("\nError ± stated deviation by chip, the worst half angle first:\n")
    heads = list(QUANTITIES)
    print(f"| tissue | true half angle, blur | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    for at in np.argsort(-np.abs(error[:, 0])):
        cells = [
            f"{error[at, n]:+.2f} ± {std[at, n]:.2f}" if known[at, n] else "not determined"
            for n in range(len(heads))
        ]
        print(f"| {names[at]} | {truth[at, 0]:.1f}, {truth[at, 1]:.2f} | {' | '.join(cells)} |")


def main() -> None:
    """Parse, and do one of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    (run if options.what == "run" else table)(options.folder)


if __name__ == "__main__":
    main()
