"""How well emitters that move and blink are linked from frame to frame, by simulation.

    python benchmarks/tracks.py [--frames 40]

Emitters start anywhere in 51 x 51 pixels of the reference imager, 100 to 900 um deep, and walk by
steps of any direction up to a speed; each is dark in a frame with a probability; 40 dB on each
sensor. A link is right if both ends belong to one emitter, and missed if an emitter's next
appearance, within the gap, has another track.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch
from locate import FRAME_PX, exposed

from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, Emitters, Locator, link_emitters

DARK, NEAR_UM = 0.1, 60.0


def walk(rng: np.random.Generator, count: int, frames: int, speed_um: float) -> np.ndarray:
    """Return places (frame, emitter, 3) in um."""
    side = (FRAME_PX[0] - 1) * 55.0
    low, high = np.array([100.0, 100.0, 100.0]), np.array([side - 100.0, side - 100.0, 900.0])
    places = [rng.uniform(low, high, (count, 3))]
    for _ in range(frames - 1):
        step = rng.normal(size=(count, 3))
        step *= speed_um * rng.uniform(0, 1, (count, 1)) / np.linalg.norm(step, axis=1)[:, None]
        places.append(np.clip(places[-1] + step, low, high))
    return np.stack(places)


def linked(count: int, frames: int, speed_um: float, seed: int) -> str:
    """Return a row of the table."""
    imager, rng = Imager.reference(), np.random.default_rng(seed)
    response, locator = EmitterResponse(imager, FRAME_PX), Locator(imager, FRAME_PX)
    places, light = walk(rng, count, frames, speed_um), np.exp(rng.normal(0, 0.5, count))
    parts, whose = [], []
    for number, at in enumerate(places):
        lit = np.flatnonzero(rng.uniform(size=count) > DARK)
        found = locator.locate(exposed(response, at[lit], light[lit], number))
        here = np.stack([found.x_um, found.y_um, found.depth_um], 1)
        apart = np.linalg.norm(here[:, None] - at[lit], axis=2)
        nearest = lit[apart.argmin(1)]
        whose.append(np.where(apart.min(1) < NEAR_UM, nearest, -1))
        parts.append(found)
    emitters, owner = Emitters.joined(parts), np.concatenate(whose)
    track = link_emitters(emitters, most_speed_um=speed_um)
    right = wrong = missed = 0
    for number in range(track.max() + 1):
        its = owner[track == number]
        right += int(((its[1:] == its[:-1]) & (its[1:] >= 0)).sum())
        wrong += int(((its[1:] != its[:-1]) | (its[1:] < 0)).sum())
    for number in range(count):
        mine = np.flatnonzero(owner == number)
        missed += sum(
            track[a] != track[b] and emitters.frame[b] - emitters.frame[a] <= 2
            for a, b in pairwise(mine)
        )
    return f"| {count} | {speed_um:g} | {right} | {wrong} | {missed} | {track.max() + 1} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=40)
    frames = parser.parse_args().frames
    torch.set_num_threads(1)
    print("| emitters | um a frame | links right | wrong | missed | tracks |")
    print("|---|---|---|---|---|---|")
    for count, speed_um in ((5, 0.0), (5, 30.0), (15, 30.0), (15, 100.0)):
        print(linked(count, frames, speed_um, seed=8500 + count), flush=True)
