"""Quick scores of designs against networks that are trained for each: `benchmarks/design.md`.

    python benchmarks/design.py train DIR [SECONDS]  # a network per design; goes on
    python benchmarks/design.py best DIR  # the reference and the design found, for longer
    python benchmarks/design.py report DIR > benchmarks/design.md

Each network starts from the shipped one and is fine-tuned for its design alone: a fixed imager,
known exactly, at the design's own light. Scores are of scenes that neither training nor the quick
scores see.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import torch

from fociscope.design import DesignSpace, ImagerDesign
from fociscope.design._captures import fitting_separation_um, simulated_captures
from fociscope.design._network import depth_error, dice, network_for, refusal
from fociscope.imager import Imager
from fociscope.networks import LayerNet, ModelInfo, find_model, read_model
from fociscope.reconstruction import Model
from fociscope.simulation.tissue import PerlinFoci
from fociscope.training._module import TrainingModule
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe

SPACE = DesignSpace(
    frame_px=(32, 32),
    pixel_pitch_um=(42, 85),
    half_angle_deg=(11, 29),
    base_blur_um=(0, 20),
    gap_um=(700, 1000),
    exposure_s=(0.001, 0.1),
    sensors=(1, 2),
    designs=64,
    seed=7,
)
#: Fine-tuning, the same for each design.
STEPS, BATCH, LEARNING_RATE, EMA, CHUNKS = 120, 24, 5e-4, 0.97, 5
#: Scenes that networks are scored on, and their seed; the quick scores have SPACE's.
TEST_SCENES, TEST_SEED, TRAINING_SEED = 256, 9000, 9100


def recipe(imager: Imager, info: ModelInfo, peak_snr_db: float, steps: int) -> Recipe:
    """Return the recipe that trains for one imager, known exactly, at one level of light."""
    angle, blur_px = imager.psf.half_angle_deg, imager.psf.base_blur_um / imager.square_pitch_um
    apart_um = fitting_separation_um(imager, SPACE.layers, SPACE.min_separation_um)
    return Recipe.model_validate(
        {
            "name": "design",
            "imager": imager.model_dump(),
            "network": info.architecture.model_dump(),
            "family": {
                "half_angle_deg": (angle, angle),
                "base_blur_px": (blur_px, blur_px),
                "peak_snr_db": (peak_snr_db - 2, peak_snr_db + 2),
                "boundaries": ["zero"],
                "misregistered_fraction": 0,
                "background": 0,
                "exact_fraction": 1,
            },
            "scenes": {"min_separation_um": (apart_um, apart_um)},
            "validation": {"min_separation_um": apart_um, "every_steps": steps},
            "optimisation": {
                "steps": steps, "batch_scenes": BATCH, "learning_rate": LEARNING_RATE,
                "depth_weight": 6.0, "warmup_steps": 20,
            },
            "stream": {"pool_chunks": CHUNKS, "steps_per_chunk": 16},
            "seeds": {"training": TRAINING_SEED, "validation": 1, "calibration": 2, "test": 3},
        }
    )  # fmt: skip


def fine_tuned(imager: Imager, *, steps: int, chunks: int = CHUNKS) -> tuple[Model, float, int]:
    """Return the shipped network trained on for an imager, seconds that took, and its steps."""
    network, info = read_model(find_model(network_for(imager.sensors, SPACE.layers)))
    seen = captures(imager, 32, TRAINING_SEED)
    made = recipe(imager, info, seen.peak_snr_db, steps)
    made = made.model_copy(
        update={"stream": made.stream.model_copy(update={"pool_chunks": chunks})}
    )
    begun = time.process_time()
    module = TrainingModule(made)
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("psf_width")}
    module.network.load_state_dict(weights)
    # In evaluation mode: the statistics of normalisation stay those of the shipped network, which
    # batches this small would blur.
    module.network.eval()
    averaged = torch.optim.swa_utils.AveragedModel(
        module.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA),
        use_buffers=True,
    )  # fmt: skip
    settings = module.configure_optimizers()
    optimizer, schedule = settings["optimizer"], settings["lr_scheduler"]["scheduler"]
    scenes = iter(LiveScenes(made))
    for _ in range(steps):
        loss = module.losses(next(scenes))[0]["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(module.network)
    trained = LayerNet(info.architecture).eval()
    trained.load_state_dict(averaged.module.state_dict())
    seconds = time.process_time() - begun
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Model(trained, info, imager=imager, device=torch.device("cpu")), seconds, steps


def captures(imager: Imager, scenes: int, seed: int):
    """Return captures of the study's specimens."""
    return simulated_captures(
        imager, PerlinFoci(), scenes, layers=SPACE.layers,
        min_separation_um=fitting_separation_um(imager, SPACE.layers, SPACE.min_separation_um),
        cell_photons_per_s=SPACE.cell_photons_per_s, seed=seed,
    )  # fmt: skip


def scored(imager: Imager, model: Model, scenes: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return depth error and Dice of a network, each with its standard error."""
    seen = captures(imager, scenes, seed)
    found = model.reconstruct(seen.scenes.captures, layers=SPACE.layers)
    scores = {"depth_error_um": depth_error(found.depth_um, seen), "dice": dice(found.mask, seen)}
    return {name: (score.value, score.std_error) for name, score in scores.items()}


def in_range(design: ImagerDesign, base: Imager) -> bool:
    """Whether the shipped network can score a design."""
    imager = design.imager(base)
    info = read_model(find_model(network_for(imager.sensors, SPACE.layers)))[1]
    if refusal(imager, info) is not None:
        return False
    return refusal(imager, info, captures(imager, SPACE.scenes, SPACE.seed).peak_snr_db) is None


def train(folder: Path, seconds: float) -> None:
    """Train for one design after the other until the time is up."""
    folder.mkdir(parents=True, exist_ok=True)
    base, begun = SPACE.base_imager(), time.monotonic()
    for n, design in enumerate([ImagerDesign.of(base), *SPACE.points()]):
        path = folder / f"{n:03}.json"
        if path.exists() or time.monotonic() - begun > seconds:
            continue
        if not in_range(design, base):
            continue
        imager = design.imager(base)
        model, took, steps = fine_tuned(imager, steps=STEPS)
        row = {
            "design": design.numbers(), "steps": steps, "training_s": took,
            "trained": scored(imager, model, TEST_SCENES, TEST_SEED),
        }  # fmt: skip
        path.write_text(json.dumps(row))
        print(n, row, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    job, where = sys.argv[1], Path(sys.argv[2])
    if job == "train":
        train(where, float(sys.argv[3]) if len(sys.argv) > 3 else 2700.0)
