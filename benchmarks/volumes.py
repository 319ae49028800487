"""Volumes on a grid of depths: a model beside solvers and a constant, worst condition first.

python benchmarks/volumes.py [MODEL] [--scenes 30] > benchmarks/volumes.md

MODEL is the name of a shipped volume model or the path of one. Reference imager, 40 dB; seeds from
9000 on. All methods see the same captures and answer on the same slices; thresholds of solvers are
those that score best on scenes of seed 303.
"""

import argparse

import numpy as np
import torch
from timing import median_seconds

import fociscope
from fociscope.evaluation.volume_card import model_on_slices, volume_table
from fociscope.evaluation.volumes import (
    VOLUME_CONDITIONS,
    GridMethod,
    VolumeCondition,
    fitted_to,
    score_volumes,
    solver_on_slices,
)
from fociscope.imager import Imager
from fociscope.reconstruction import load_volume_model
from fociscope.simulation import VolumeScenes, simulate_volumes

SEED, FITTED_SEED = 9000, 303
SOLVERS = ("richardson-lucy", "fista")


def constant(slices: int, frame_px: tuple[int, int]) -> GridMethod:
    """The same small score in every voxel: the best that can be said without a capture."""

    def solve(captures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        even = np.full((len(captures), slices, *frame_px), 0.02, np.float32)
        return even, even

    return GridMethod("constant", solve)


def layers_beside(condition: VolumeCondition, scenes: VolumeScenes) -> str:
    """Accuracy and depth error of `layers-ab` on the captures of flat layers."""
    model = fociscope.load_model("layers-ab", device="cpu")
    found = model.reconstruct(scenes.captures, layers=condition.layers)
    right, error = [], []
    for n in range(len(scenes)):
        held = np.flatnonzero(scenes.mask[n].any(axis=(1, 2)))
        true_um = np.array(
            [
                (scenes.depth_um[n, s] * scenes.mask[n, s]).sum() / scenes.mask[n, s].sum()
                for s in held
            ]
        )
        apart = np.abs(found.depth_um[n][:, None] - true_um)
        order = apart.argmin(axis=0)
        right += [(found.mask[n, order[k]] == scenes.mask[n, s]).mean() for k, s in enumerate(held)]
        error += apart.min(axis=0).tolist()
    return f"| {condition.name} | {100 * np.mean(right):.1f} | {np.mean(error):.1f} |"


def main() -> None:
    """Score, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="volume-ab")
    parser.add_argument("--scenes", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    imager = Imager.reference()
    model = load_volume_model(arguments.model, device="cpu")
    slices = model.info.architecture.slices
    others = [solver_on_slices(imager, name, slices) for name in SOLVERS]
    others.append(constant(slices, imager.frame_px))
    methods = [model_on_slices(model)]
    methods += [fitted_to(m, imager, seed=FITTED_SEED, slices=slices) for m in others]

    print("# Volumes on a grid of depths\n")
    print("```sh\npython benchmarks/volumes.py > benchmarks/volumes.md\n```\n")
    print(
        f"{arguments.scenes} scenes of each condition, reference imager, 40 dB, {slices} slices of "
        f"{imager.gap_um / slices:g} µm. Worst condition first. Nuclei clusters and shells are not "
        "in the training. Foci of at least three cells, found within 80 µm sideways and 60 µm in "
        "depth.\n"
    )
    scored, beside = [], []
    for condition in VOLUME_CONDITIONS:
        scenes = simulate_volumes(
            arguments.scenes, seed=SEED, imager=imager, specimen=condition.specimen, slices=slices
        )
        scored.append(score_volumes(condition, scenes, methods, pitch_um=imager.square_pitch_um))
        if condition.layers:
            beside.append(layers_beside(condition, scenes))
    scored.sort(key=lambda scores: float(np.mean(scores[0].dice)))
    print("\n".join(volume_table([one for scores in scored for one in scores])))
    print("\n## layers-ab on the captures of flat layers\n")
    print("| condition | accuracy (%) | depth (µm) |\n|---|---|---|")
    print("\n".join(beside))

    capture = simulate_volumes(1, seed=SEED, imager=imager).captures[0]
    seconds = median_seconds(lambda: model.reconstruct(capture), repeats=20)
    print(f"\nOne volume with its re-projection: {1000 * seconds:.0f} ms, one thread.")


if __name__ == "__main__":
    main()
