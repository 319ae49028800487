"""What a network would reach on the second simulator's foci if it were trained on them.

    python benchmarks/second_simulator.py draw set
    fociscope train benchmarks/second_simulator.toml --data set --from layers-ab -o run
    python benchmarks/second_simulator.py score layers-ab run/model.safetensors

The second simulator (`fociscope.evaluation.independent`) is for tests alone: a network that was
trained on it is a yardstick, and is kept nowhere. Both models are scored on the same scenes, of
other seeds than those of training and of the suite; the optics are known exactly.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fociscope.evaluation import Batch, ReconstructionTask, ScoreAccumulator, find_method
from fociscope.evaluation.independent import IndependentScenes, draw_scenes
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.imager import Imager

FAMILY, LAYERS, SEPARATION_UM = "spectral-foci", 4, 250.0
DRAWN, DRAWING_SEED, PER_FILE = 6000, 71_000, 500
SCORED, SCORED_SEED, STEP = 200, 72_000, 20


def drawn(first: int, count: int, *, seed: int, peak_snr_db: float | None) -> IndependentScenes:
    """Return scenes of the family."""
    return draw_scenes(
        FAMILY,
        count,
        seed=seed,
        first=first,
        layers=LAYERS,
        min_separation_um=SEPARATION_UM,
        peak_snr_db=peak_snr_db,
    )


def draw(folder: Path) -> None:
    """Write the training scenes in the published layout, without noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, DRAWN, PER_FILE):
        scenes = drawn(first, PER_FILE, seed=DRAWING_SEED, peak_snr_db=None)
        depth_map = np.where(scenes.mask, scenes.depth_um[..., None, None], 0).astype(np.float32)
        samples = ImagesDepth(scenes.captures, scenes.layers, depth_map, scenes.depth_um)
        write_images_depth(folder / f"{first // PER_FILE + 1}.h5", samples)
        print(f"{first + PER_FILE} of {DRAWN} scenes", flush=True)


def score(names: list[str]) -> None:
    """Print the scores of models."""
    task = ReconstructionTask(Imager.reference(), LAYERS, SEPARATION_UM)
    print("| model | Dice | accuracy (%) | depth error (µm) | within one std (%) | ECE (%) |")
    print("|---|---|---|---|---|---|")
    for name in names:
        method = find_method(name, device="cpu")
        scored = ScoreAccumulator(pixel_pitch_um=55.0, deepest_um=1000.0)
        for first in range(0, SCORED, STEP):
            s = drawn(first, STEP, seed=SCORED_SEED, peak_snr_db=40.0)
            batch = Batch(s.captures, s.mask, s.depth_um, s.layers, s.cells)
            scored.add(batch, method.estimate(batch, task))
        scores = scored.scores(seed=0, by_depth=False)
        print(
            f"| {name} | {scores.value('dice'):.3f} | {100 * scores.value('accuracy'):.2f} "
            f"| {scores.value('depth_error_um'):.1f} "
            f"| {100 * scores.value('within_one_std'):.0f} "
            f"| {100 * scores.value('calibration_error'):.1f} |"
        )


def main() -> None:
    """Draw or score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=["draw", "score"])
    parser.add_argument("what", nargs="+", help="folder of the set; or models")
    options = parser.parse_args()
    if options.job == "draw":
        draw(Path(options.what[0]))
    else:
        score(options.what)


if __name__ == "__main__":
    main()
