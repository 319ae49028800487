"""How well and how fast point emitters are located, by simulation.

    python benchmarks/locate.py [--frames 60] > table.md

Emitters lie anywhere in 51 x 51 pixels of the reference imager, 50 to 950 um deep, 1 to 30 in a
capture, their light log-normal with a factor of 1.65 for one deviation; 40 dB on each sensor. One
that is found counts if it lies within 55 um laterally and 50 um in depth of a true one. The time is
compared with SciPy's least squares on the same model from the same starts, in one run, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import least_squares, linear_sum_assignment

from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Locator
from fociscope.localization._fit import Observation, fit_emitters
from fociscope.localization._noise import first_noise

FRAME_PX = (51, 51)
LATERAL_UM, AXIAL_UM = 55.0, 50.0
MOST, SPREAD, PEAK_SNR_DB = 30, 0.5, 40.0
SEPARATED_UM = 600.0


@dataclass
class Tally:
    """What was found, missed and invented."""

    found: int = 0
    missed: int = 0
    invented: int = 0
    exact: int = 0
    frames: int = 0
    seconds: list[float] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)
    pulls: list[np.ndarray] = field(default_factory=list)

    def row(self, name: str) -> str:
        """Return a row of the table."""
        errors, pulls = np.abs(self.errors), np.abs(self.pulls)
        within = " / ".join(f"{100 * share:.0f}" for share in (pulls < 1).mean(0))
        jaccard = self.found / (self.found + self.missed + self.invented)
        return (
            f"| {name} | {jaccard:.3f} | {self.missed} / {self.invented} of "
            f"{self.found + self.missed} | {100 * self.exact / self.frames:.0f} | "
            f"{np.sqrt((errors[:, :2] ** 2).mean()):.1f} | "
            f"{np.sqrt((errors[:, 2] ** 2).mean()):.1f} | {np.median(errors[:, 2]):.1f} | "
            f"{within} | {1000 * np.median(self.seconds):.0f} |"
        )


def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places (emitter, 3) in um and light (emitter,)."""
    side = (FRAME_PX[0] - 1) * 55.0
    places = [rng.uniform(0, side, count), rng.uniform(0, side, count)]
    depth = rng.uniform(50, 950, count)
    return np.stack([*places, depth], 1), np.exp(rng.normal(0, SPREAD, count))


def exposed(
    response: EmitterResponse, places: np.ndarray, light: np.ndarray, seed: int
) -> np.ndarray:
    """Return (sensor, y, x): a capture."""
    shape = (response.imager.sensors, *FRAME_PX)
    clean = torch.tensor((light @ response(places)[0]).reshape(shape), dtype=torch.float64)
    noise = torch.Generator().manual_seed(seed)
    return response.imager.camera.at_peak_snr(clean, PEAK_SNR_DB, generator=noise).numpy()


def simulated(sensors: int, frames: int) -> Tally:
    """Locate the emitters of simulated captures."""
    imager = Imager.reference().with_(sensors=sensors)
    response, locator = EmitterResponse(imager, FRAME_PX), Locator(imager, FRAME_PX)
    rng, tally = np.random.default_rng(8100), Tally()
    for seed in range(frames):
        places, light = draw(rng, int(rng.integers(1, MOST + 1)))
        capture = exposed(response, places, light, seed)
        began = time.perf_counter()
        found = locator.locate(capture)
        tally.seconds.append(time.perf_counter() - began)
        at = np.stack([found.x_um, found.y_um, found.depth_um], 1)
        std = np.stack([found.x_std_um, found.y_std_um, found.depth_std_um], 1)
        off = at[:, None] - places
        lateral = np.hypot(off[..., 0], off[..., 1])
        near = (lateral < LATERAL_UM) & (np.abs(off[..., 2]) < AXIAL_UM)
        cost = np.where(near, lateral + np.abs(off[..., 2]), 1e6)
        i, j = linear_sum_assignment(cost)
        i, j = i[near[i, j]], j[near[i, j]]
        tally.found += len(i)
        tally.missed += len(places) - len(i)
        tally.invented += len(at) - len(i)
        tally.exact += len(at) == len(places)
        tally.frames += 1
        tally.errors.extend(off[i, j])
        tally.pulls.extend(off[i, j] / std[i])
    return tally


def false_positives(frames: int) -> int:
    """Return emitters found in captures of noise alone: normal, and of photons."""
    locator = Locator(Imager.reference(), FRAME_PX)
    rng = np.random.default_rng(8200)
    normal = rng.normal(0, 1, (frames, 2, *FRAME_PX))
    photons = rng.poisson(50, (frames, 2, *FRAME_PX)).astype(float)
    return len(locator.locate(normal)) + len(locator.locate(photons))


def bound(frames: int) -> float:
    """Return the root mean squared depth error of lone emitters, over the Cramer-Rao bound."""
    imager = Imager.reference()
    response, locator = EmitterResponse(imager, FRAME_PX), Locator(imager, FRAME_PX)
    rng, ratios = np.random.default_rng(8300), []
    for seed in range(frames):
        places, light = draw(rng, 1)
        found = locator.locate(exposed(response, places, light, 5000 + seed))
        if len(found) == 1:
            ratios.append((found.depth_um[0] - places[0, 2]) / found.depth_std_um[0])
    return float(np.sqrt(np.mean(np.square(ratios))))


def times(captures: int) -> tuple[float, float, float]:
    """Return median seconds of one fit: ours, SciPy's with differences, SciPy's with gradients."""
    imager = Imager.reference()
    response = EmitterResponse(imager, FRAME_PX)
    rng, seconds = np.random.default_rng(8400), []
    used = np.ones(response.pixels, bool)
    for seed in range(captures):
        places, light = draw(rng, 15)
        capture = exposed(response, places, light, 9000 + seed).reshape(-1)
        unit = capture.max()
        capture = capture / unit
        start = places + rng.normal(0, 15, places.shape)
        start[:, 2] = start[:, 2].clip(40, 960)
        noise = first_noise(capture, used, FRAME_PX, 0.002)
        seen = Observation(response, capture, used, noise)
        first = fit_emitters(seen, start, steps=0)
        weight = np.sqrt(first.weights.diagonal)

        def unpacked(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return p[:45].reshape(15, 3), p[45:60], p[60:]

        def residual(p: np.ndarray, capture=capture, weight=weight) -> np.ndarray:
            at, light, background = unpacked(p)
            mean = light @ response(at)[0] + np.repeat(background, len(capture) // 2)
            return weight * (mean - capture)

        def slopes(p: np.ndarray, weight=weight) -> np.ndarray:
            at, light, _ = unpacked(p)
            images, gradients = response(at)
            sensor = np.repeat(np.eye(2), images.shape[1] // 2, axis=1)
            rows = [(gradients * light[:, None, None]).reshape(45, -1), images, sensor]
            return (np.concatenate(rows) * weight).T

        p0 = np.concatenate([start.ravel(), first.light, first.background])
        low = np.concatenate([np.tile([-500, -500, 20.0], 15), np.zeros(15), [-9, -9]])
        high = np.concatenate([np.tile([4000, 4000, 980.0], 15), np.full(15, 1e9), [9, 9]])
        p0 = np.clip(p0, low + 1e-9, high)
        options = {"bounds": (low, high), "x_scale": "jac", "ftol": 1e-6}
        runs: list[Callable[[], object]] = [
            lambda one=seen, s=start: fit_emitters(one, s),
            lambda p=p0, r=residual, o=options: least_squares(r, p, **o),
            lambda p=p0, r=residual, j=slopes, o=options: least_squares(r, p, jac=j, **o),
        ]
        row = []
        for run in runs:
            began = time.perf_counter()
            run()
            row.append(time.perf_counter() - began)
        seconds.append(row)
    ours, differences, gradients = np.median(seconds, axis=0)
    return float(ours), float(differences), float(gradients)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=60)
    frames = parser.parse_args().frames
    torch.set_num_threads(1)
    print(
        "| sensors | Jaccard | missed / invented | number right (%) | lateral RMSE (µm) | "
        "depth RMSE (µm) | median (µm) | within one std, x / y / depth (%) | ms a capture |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for sensors, name in ((2, "A and B"), (1, "A alone")):
        print(simulated(sensors, frames).row(name), flush=True)
    print(f"\nEmitters in {2 * frames} captures of noise alone: {false_positives(frames)}.")
    print(f"Lone emitters: depth RMSE over the Cramer-Rao bound {bound(2 * frames):.2f}.")
    ours, differences, gradients = times(5)
    print(
        f"One fit of 15 emitters: {1000 * ours:.0f} ms; SciPy with differences "
        f"{differences / ours:.1f} times, with our gradients {gradients / ours:.1f} times as long."
    )


if __name__ == "__main__":
    main()
