"""Volumes on a grid of depths: models beside solvers and a constant, worst condition first.

python benchmarks/volumes.py [MODEL ...] [--scenes 30] > benchmarks/volumes.md

MODEL is the name of a shipped volume model or the path of one. Reference imager, 40 dB; seeds from
9000 on, of ranks 9100. All methods see the same captures and answer on the same slices; thresholds
of solvers are those that score best on scenes of seed 303.
"""

import argparse

import numpy as np
import torch
from timing import median_seconds

import fociscope
from fociscope.evaluation.volume_card import model_on_slices, volume_table
from fociscope.evaluation.volume_ranks import FIGURES, rank_volumes
from fociscope.evaluation.volumes import (
    VOLUME_CONDITIONS,
    GridMethod,
    VolumeCondition,
    fitted_to,
    score_volumes,
    solver_on_slices,
)
from fociscope.localization import Locator
from fociscope.networks.volume_matching import match_volume_foci
from fociscope.reconstruction import VolumeModel, load_volume_model
from fociscope.simulation import AnyVolume, FociInDepth, VolumeScenes, simulate_volumes

SEED, FITTED_SEED, RANKED_SEED, FEW_SEED = 9000, 303, 9100, 9200
RANKED_SCENES, RANKED_SAMPLES = 40, 50
SOLVERS = ("richardson-lucy", "fista")


def constant(slices: int, frame_px: tuple[int, int]) -> GridMethod:
    """The same small score in every voxel: the best that can be said without a capture."""

    def solve(captures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        even = np.full((len(captures), slices, *frame_px), 0.02, np.float32)
        return even, even

    return GridMethod("constant", solve)


def layers_beside(condition: VolumeCondition, scenes: VolumeScenes) -> str:
    """Accuracy and depth error of the layer model on the captures of flat layers."""
    model = fociscope.load_model(layer_model(scenes.captures.shape[1]), device="cpu")
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


def layer_model(sensors: int) -> str:
    """Name of the layer model for so many sensors."""
    return "layers-ab" if sensors > 1 else "layers-a"


def scores(model: VolumeModel, count: int) -> None:
    """Print the scores of a model, solvers and the constant, and of layers on the same captures."""
    imager, slices = model.imager, model.info.architecture.slices
    others = [solver_on_slices(imager, name, slices) for name in SOLVERS]
    others.append(constant(slices, imager.frame_px))
    methods = [model_on_slices(model)]
    methods += [fitted_to(m, imager, seed=FITTED_SEED, slices=slices) for m in others]
    scored, beside = [], []
    for condition in VOLUME_CONDITIONS:
        scenes = simulate_volumes(
            count, seed=SEED, imager=imager, specimen=condition.specimen, slices=slices
        )
        scored.append(score_volumes(condition, scenes, methods, pitch_um=imager.square_pitch_um))
        if condition.layers:
            beside.append(layers_beside(condition, scenes))
    scored.sort(key=lambda scores: float(np.mean(scores[0].dice)))
    print("\n".join(volume_table([one for scores in scored for one in scores])))
    print(f"\n### {layer_model(imager.sensors)} on the captures of flat layers\n")
    print("| condition | accuracy (%) | depth (µm) |\n|---|---|---|")
    print("\n".join(beside))
    capture = simulate_volumes(1, seed=SEED, imager=imager).captures[0]
    seconds = median_seconds(lambda: model.reconstruct(capture), repeats=20)
    print(f"\nOne volume with its re-projection: {1000 * seconds:.0f} ms, one thread.")


def ranks(model: VolumeModel) -> None:
    """Print p of even ranks of true volumes among samples, for the mixture and each condition."""
    imager = model.imager
    print(f"\n### Ranks of the truth among {RANKED_SAMPLES} samples\n")
    print(
        f"{RANKED_SCENES} scenes of each; p of the Kolmogorov-Smirnov test against even ranks, and "
        "the mean rank (0.5 if unbiased). Even: least p times five above 0.05.\n"
    )
    print(f"| condition | {' | '.join(FIGURES)} | even |\n|---|{'---|' * len(FIGURES)}---|")
    mixture = VolumeCondition("mixture of the training", AnyVolume())
    for condition in (mixture, *VOLUME_CONDITIONS):
        scenes = simulate_volumes(
            RANKED_SCENES, seed=RANKED_SEED, imager=imager, specimen=condition.specimen
        )
        light = scenes.light * np.float32(imager.psf.collection_efficiency())
        volumes = model.reconstruct(scenes.captures)
        found = rank_volumes(volumes, scenes.mask, light, samples=RANKED_SAMPLES)
        cells = [
            f"{p:.3f} ({mean:.2f})"
            for p, mean in zip(found.p_value, found.rank.mean(axis=0), strict=True)
        ]
        even = "yes" if found.is_uniform() else "no"
        print(f"| {condition.name} | {' | '.join(cells)} | {even} |")
    capture = simulate_volumes(1, seed=SEED, imager=imager).captures[0]
    volume = model.reconstruct(capture)
    seconds = median_seconds(lambda: volume.samples(100), repeats=5)
    print(f"\n100 samples of one volume: {1000 * seconds:.0f} ms, one thread.")


def emitters_beside(model: VolumeModel) -> None:
    """Print how emitters of `locate` and foci of the volume agree where cells are few."""
    specimen = FociInDepth(
        foci=(2, 6), cells_per_focus=(1, 1), separation_um=300.0, haze=(0.0, 0.0)
    )
    scenes = simulate_volumes(RANKED_SCENES, seed=FEW_SEED, specimen=specimen)
    locator = Locator(model.imager, (51, 51))
    near = of_emitters = of_foci = 0
    apart_um: list[float] = []
    for capture in scenes.captures:
        emitters = locator.locate(capture)
        foci = model.reconstruct(capture).foci()
        match = match_volume_foci(
            np.stack([foci.depth_um, foci.y_um, foci.x_um], axis=-1),
            np.stack([emitters.depth_um, emitters.y_um, emitters.x_um], axis=-1),
        )
        near, of_emitters, of_foci = (
            near + match.hits,
            of_emitters + len(emitters),
            of_foci + len(foci),
        )
        apart_um += np.abs(match.axial_um).tolist()
    print("\n### Emitters of `locate` beside foci of the volume, two to six lone cells\n")
    print(
        f"{of_emitters} emitters and {of_foci} foci in {len(scenes)} captures, {near} pairs within "
        f"80 µm sideways and 60 µm in depth, which lie {np.mean(apart_um):.1f} µm apart in depth."
    )


def main() -> None:
    """Score, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["volume-ab", "volume-a"])
    parser.add_argument("--scenes", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("# Volumes on a grid of depths\n")
    print("```sh\npython benchmarks/volumes.py > benchmarks/volumes.md\n```\n")
    print(
        f"{arguments.scenes} scenes of each condition, reference imager, 40 dB, slices of 50 µm. "
        "Worst condition first. Nuclei clusters and shells are not in the training. Foci of at "
        "least three cells, found within 80 µm sideways and 60 µm in depth."
    )
    for name in arguments.models:
        model = load_volume_model(name, device="cpu")
        print(f"\n## {model.info.name}\n")
        scores(model, arguments.scenes)
        ranks(model)
        if model.imager.sensors > 1:
            emitters_beside(model)


if __name__ == "__main__":
    main()
