"""Calibrations of simulated imagers, held against the truth they were simulated with.

python benchmarks/calibration.py 8 > benchmarks/calibration.md

Each imager has a half angle of 12 to 24 degrees, a base blur of 0 to 1 pixel, and a sensor B that
is shifted by up to 2 pixels, turned by up to 1 degree and answers with 0.7 to 1.3 times A's counts.
The search always begins at the reference imager: 18 degrees, no blur, no shift, equal gains.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

from fociscope.calibration import Calibration, calibrate_beads, calibrate_target, simulated_stack
from fociscope.errors import FociscopeWarning
from fociscope.imager import AngleSelectivePsf, Imager

CALIBRATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
FIRST_CASE = int(sys.argv[2]) if len(sys.argv) > 2 else 0
PITCH_UM = 55.0
DEPTH_UM = np.linspace(50, 950, 6)
TARGETS = {"half angle (deg)": 0.5, "base blur (px)": 0.1, "registration (px)": 0.1}


def drawn_imager(rng: np.random.Generator, frame_px: int) -> Imager:
    return Imager(
        frame_px=(frame_px, frame_px),
        psf=AngleSelectivePsf(
            half_angle_deg=rng.uniform(12, 24), base_blur_um=rng.uniform(0, 1) * PITCH_UM
        ),
        registration={
            "shift_um": tuple(rng.uniform(-2, 2, 2) * PITCH_UM),
            "rotation_deg": rng.uniform(-1, 1),
        },
        sensor_gains=(1.0, rng.uniform(0.7, 1.3)),
    )


def beads(
    rng: np.random.Generator, seed: int, *, frame_px: int, apart_px: int, one_exposure: bool
) -> tuple[Imager, Calibration]:
    """Beads on a jittered grid, of unequal brightness."""
    imager = drawn_imager(rng, frame_px)
    places = np.arange(apart_px // 2 + 2, frame_px - apart_px // 2, apart_px)
    y, x = (n.ravel() for n in np.meshgrid(places, places))
    points_px = np.stack([y, x], axis=1) + rng.uniform(-2, 2, (y.size, 2)) - (frame_px - 1) / 2
    stack = simulated_stack(
        imager,
        points_px * PITCH_UM,
        DEPTH_UM,
        brightness=rng.uniform(0.4, 1, y.size),
        one_exposure=one_exposure,
        seed=seed,
    )
    return imager, calibrate_beads(stack, imager=Imager(frame_px=(frame_px, frame_px)))


def target(rng: np.random.Generator, seed: int) -> tuple[Imager, Calibration]:
    """A target of 40 points on a frame of 51 x 51 pixels."""
    imager = drawn_imager(rng, 51)
    light = np.zeros((51, 51))
    points = rng.permutation(39 * 39)[:40]
    rows, columns = points // 39 + 6, points % 39 + 6
    light[rows, columns] = rng.uniform(0.4, 1, 40)
    points_um = (np.stack([rows, columns], axis=1) - 25.0) * PITCH_UM
    stack = simulated_stack(imager, points_um, DEPTH_UM, brightness=light[rows, columns], seed=seed)
    return imager, calibrate_target(stack, light, imager=Imager(frame_px=(51, 51)))


def registration_error_px(true: Imager, found: Imager) -> float:
    """Return the largest error of where a corner of A's frame appears on B."""
    half_um = (true.frame_px[0] - 1) / 2 * PITCH_UM
    corners = [(y, x) for y in (-half_um, half_um) for x in (-half_um, half_um)]
    errors = [np.subtract(true.registration.to_b(*c), found.registration.to_b(*c)) for c in corners]
    return max(float(np.hypot(*error)) for error in errors) / PITCH_UM


def truth(imager: Imager) -> dict[str, float]:
    return {
        "half_angle_deg": imager.psf.half_angle_deg,
        "base_blur_um": imager.psf.base_blur_um,
        "gain_b": imager.sensor_gains[1],
        "shift_y_um": imager.registration.shift_um[0],
        "shift_x_um": imager.registration.shift_um[1],
        "rotation_deg": imager.registration.rotation_deg,
        "scale": imager.registration.scale,
    }


def measure(case: Callable[..., tuple[Imager, Calibration]], **options: object) -> Iterator[str]:
    """Yield the rows of one case: errors, then coverage."""
    errors: dict[str, list[float]] = {name: [] for name in [*TARGETS, "gain of B (%)"]}
    deviations: dict[str, list[float]] = {}
    chi_square, seconds, fitted = [], [], []
    for seed in range(CALIBRATIONS):
        start = time.perf_counter()
        true, found = case(np.random.default_rng(seed), seed, **options)
        seconds.append(time.perf_counter() - start)
        psf = found.imager.psf
        for name, error in zip(
            errors,
            (
                abs(psf.half_angle_deg - true.psf.half_angle_deg),
                abs(psf.base_blur_um - true.psf.base_blur_um) / PITCH_UM,
                registration_error_px(true, found.imager),
                100 * abs(found.imager.sensor_gains[1] / true.sensor_gains[1] - 1),
            ),
            strict=True,
        ):
            errors[name].append(error)
        for name, value in truth(true).items():
            estimate = found.estimates[name]
            deviations.setdefault(name, []).append((estimate.value - value) / estimate.std)
        chi_square.append(found.reduced_chi_square)
        fitted.append(len(found.beads))
        print(f"{seed + 1}/{CALIBRATIONS}", end="\r", file=sys.stderr)
    yield "| | median error | worst error | asked for |"
    yield "|---|---|---|---|"
    for name, values in errors.items():
        asked = f"{TARGETS[name]:g}" if name in TARGETS else ""
        yield f"| {name} | {statistics.median(values):.3f} | {max(values):.3f} | {asked} |"
    yield ""
    yield "| truth within | 1 std (0.68) | 2 std (0.95) | rms deviation / std (1) |"
    yield "|---|---|---|---|"
    for name, values in deviations.items():
        size = np.abs(values)
        yield (
            f"| {name} | {(size < 1).mean():.2f} | {(size < 2).mean():.2f} | "
            f"{np.sqrt(np.mean(size**2)):.2f} |"
        )
    every = np.abs(np.concatenate(list(deviations.values())))
    yield f"| all | {(every < 1).mean():.2f} | {(every < 2).mean():.2f} | |"
    yield ""
    beads_text = f", {min(fitted)} to {max(fitted)} beads fitted (both sensors)" * (max(fitted) > 0)
    yield (
        f"{CALIBRATIONS} calibrations{beads_text}, reduced chi square {min(chi_square):.2f} to "
        f"{max(chi_square):.2f}, median {statistics.median(seconds):.1f} s each, simulation "
        "included."
    )


CASES: dict[str, tuple[Callable[..., tuple[Imager, Calibration]], dict[str, object]]] = {
    "Four beads, 30 dB in each plane": (
        beads,
        {"frame_px": 51, "apart_px": 24, "one_exposure": False},
    ),
    "A known target of 40 points, 30 dB in each plane": (target, {}),
    "Four beads, one exposure: 30 dB in the brightest plane alone": (
        beads,
        {"frame_px": 51, "apart_px": 24, "one_exposure": True},
    ),
}


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FociscopeWarning)
    print(
        "One thread; 51 x 51 pixels of 55 um; 6 depths from 50 to 950 um, seen by sensors A and B, "
        "1000 um apart."
    )
    for name, (case, options) in list(CASES.items())[FIRST_CASE:]:
        print(f"\n## {name}\n")
        for line in measure(case, **options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
