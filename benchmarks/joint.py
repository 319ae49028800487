"""Many frames of emitters that stand still: what fitting them together brings.

    python benchmarks/joint.py > table.md

Simulated captures of the reference imager, 51 x 51 pixels, sensors A and B. *Steady*: two emitters
at 300 and 600 um far from each other. *Blinking*: two emitters of one blur, lit in half of the
frames each, on their own; 300 and 330 um deep. Rows: by a frame in which both are lit, by the mean
of all frames, and by all together.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Emitters, Locator

FRAME_PX = (51, 51)
STEADY = np.array([[900.0, 1000.0, 300.0], [1500.0, 1400.0, 600.0]])
NEAR_UM = 20.0


def off(found: Emitters, truth: np.ndarray) -> list[tuple[float, float, float]]:
    """Return (error, its std, depth) in depth of emitters if their number is right, else none."""
    if len(found) != len(truth):
        return []
    order = np.argsort(found.x_um)
    if np.abs(found.x_um[order] - truth[:, 0]).max() > NEAR_UM:
        return []
    depth, std = found.depth_um[order], found.depth_std_um[order]
    return list(zip(depth - truth[:, 2], std, truth[:, 2], strict=True))


def row(name: str, frames: int, how: str, each: list[list], trials: int) -> str:
    """Return a row of the table."""
    right = [one for one in each if one]
    values = np.array([value for one in right for value in one]).reshape(-1, 3)
    if not len(values):
        return f"| {name} | {frames} | {how} | 0 | - | - |"
    rms = np.sqrt(np.mean(values[:, 0] ** 2))
    inside = 100 * np.mean(np.abs(values[:, 0]) <= values[:, 1])
    share = 100 * len(right) / trials
    return f"| {name} | {frames} | {how} | {share:.0f} | {rms:.2f} | {inside:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    trials = parser.parse_args().trials
    torch.set_num_threads(1)
    imager = Imager.reference()
    locator, response = Locator(imager, FRAME_PX), EmitterResponse(imager, FRAME_PX)
    cases = [("steady", STEADY, 1 / 30)]
    for apart in (45.0, 25.0, 15.0):
        pair = np.array([[1000.0, 1000.0, 300.0], [1000.0 + apart, 1000.0, 330.0]])
        cases.append((f"blinking, {apart:.0f} µm apart", pair, 1 / 100))
    print(
        "| emitters | frames | by | both found, within 20 µm (% of trials) | depth, root mean "
        "squared error (µm) | within one std (%) |\n|---|---|---|---|---|---|"
    )
    for name, place, noise in cases:
        images = response(place)[0].astype(np.float64)
        for frames in (16, 64):
            rng = np.random.default_rng(frames)
            by: dict[str, list] = {"a single frame": [], "the mean": [], "all together": []}
            for _ in range(trials):
                light = np.ones((frames, 2))
                if name != "steady":
                    light = (rng.random((frames, 2)) < 0.5) * rng.uniform(0.5, 1.5, (frames, 2))
                noisy = light @ images + rng.normal(
                    0, noise * images.max(), (frames, images.shape[1])
                )
                captures = noisy.reshape(frames, 2, *FRAME_PX)
                both = int(np.argmin(np.abs(light - 1).sum(1)))  # a frame in which both are lit
                by["a single frame"].append(off(locator.locate(captures[both]), place))
                by["the mean"].append(off(locator.locate(captures.mean(0)), place))
                by["all together"].append(off(locator.locate_jointly(captures).of_frame(0), place))
            for how, each in by.items():
                print(row(name, frames, how, each, trials), flush=True)


if __name__ == "__main__":
    main()
