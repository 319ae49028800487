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

import numpy as np
import torch
from scipy.stats import spearmanr

from fociscope.design import DesignSpace, ImagerDesign, layer_bounds, score_design
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
#: The search for pitch and half angle at 3000 photons of a cell, and the two best it has found.
FIND = DesignSpace(
    frame_px=(32, 32),
    pixel_pitch_um=(55, 95),
    half_angle_deg=(16, 29.5),
    exposure_s=(0.002, 0.002),
    search="optimise",
    designs=40,
    seed=3,
)
FOUND = ImagerDesign(68.14654397932874, 1.0, 23.040656954040234, 0.0, 1000.0, 0.002, 2)
SECOND = ImagerDesign(70.2833547878436, 1.0, 27.891038673752426, 0.0, 1000.0, 0.002, 2)
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


def best(folder: Path) -> None:
    """Train for the reference in dim light, and for the designs that `FIND` has found there."""
    base = SPACE.base_imager()
    for name, design in (
        ("reference", FIND.base_design(base)),
        ("found", FOUND),
        ("second", SECOND),
    ):
        path = folder / f"best-{name}.json"
        if path.exists():
            continue
        imager = design.imager(base)
        model, took, steps = fine_tuned(imager, steps=STEPS)
        row = {
            "design": design.numbers(), "steps": steps, "training_s": took,
            "trained": scored(imager, model, TEST_SCENES, TEST_SEED),
            "photons": captures(imager, TEST_SCENES, TEST_SEED).mean_photons,
        }  # fmt: skip
        path.write_text(json.dumps(row))
        print(name, row, flush=True)


def quick(folder: Path) -> None:
    """Score all designs that have a network of their own by the quick scores."""
    base = SPACE.base_imager()
    for path in sorted(folder.glob("[0-9]*.json")):
        row = json.loads(path.read_text())
        if "quick" in row:
            continue
        design = ImagerDesign(**row["design"])
        begun = time.process_time()
        scores = score_design(design, SPACE, base=base)
        both = time.process_time() - begun
        imager = design.imager(base)
        begun = time.process_time()
        layer_bounds(
            imager, cell_photons_per_s=SPACE.cell_photons_per_s, layers=SPACE.layers,
            min_separation_um=fitting_separation_um(
                imager, SPACE.layers, SPACE.min_separation_um
            ),
        )  # fmt: skip
        bound_s = time.process_time() - begun
        share = scores.network_s / (scores.network_s + scores.bounds_s)
        row["quick"] = scores.row() | {"network_cpu_s": both * share, "layers_cpu_s": bound_s}
        path.write_text(json.dumps(row))
        print(path.name, flush=True)


QUICK = {
    "depth_error_um": "shipped network: depth error",
    "dice": "shipped network: Dice",
    "depth_bound_um": "bound: depth error of Gaussian layers",
    "light_unknown": "bound: share of the light unknown",
    "layers_information_kbit": "bound: information of the layers",
    "information_bits": "Gaussian bound of captures, bits per pixel",
    "emitter_depth_um": "Cramér-Rao bound of a lone cell's depth",
    "emitter_xy_um": "Cramér-Rao bound of a lone cell's place",
}


def correlation(one: np.ndarray, other: np.ndarray) -> str:
    """Return Spearman's rank correlation with its bootstrap interval over designs."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(one), (2000, len(one)))
    drawn = [spearmanr(one[p], other[p]).statistic for p in picks]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{spearmanr(one, other).statistic:.3f} ({low:.2f} … {high:.2f})"


def report(folder: Path) -> None:
    """Print benchmarks/design.md."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]
    rows = [row for row in rows if "quick" in row]
    trained = {n: np.array([r["trained"][n][0] for r in rows]) for n in ("depth_error_um", "dice")}
    two = np.array([r["design"]["sensors"] == 2 for r in rows])
    print(HEAD.format(designs=len(rows), two=two.sum(), steps=STEPS, batch=BATCH))
    gap = np.array([r["design"]["gap_um"] for r in rows])
    line("quick score", "trained depth error", "per gap", "two sensors alone", "trained Dice")
    print("|---|---|---|---|---|")
    for name, label in QUICK.items():
        quick = np.array([r["quick"][name] for r in rows])
        cells = [
            correlation(quick, trained["depth_error_um"]),
            correlation(quick / gap, trained["depth_error_um"] / gap) if "_um" in name else "",
            correlation(quick[two], trained["depth_error_um"][two]),
            correlation(quick, trained["dice"]),
        ]
        line(label, *cells)
    cost = np.median([r["training_s"] for r in rows])
    print(f"\n## Costs\n\nProcessor seconds of a design, median: fine-tuning {cost:.1f}", end="")
    for name, label in (("network_cpu_s", "shipped network"), ("layers_cpu_s", "bound of layers")):
        own = np.median([r["quick"][name] for r in rows])
        print(f"; {label} {own:.3f} (1/{cost / own:.0f})", end="")
    print(".\n")
    print(BEST)
    print("| design | pitch (µm) | half angle (°) | depth error, trained (µm) | Dice, trained | "
          "photons in a pixel |\n|---|---|---|---|---|---|")  # fmt: skip
    for name in ("reference", "found", "second"):
        path = folder / f"best-{name}.json"
        if not path.exists():
            continue
        row = json.loads(path.read_text())
        (error, own), (dice_, spread) = row["trained"]["depth_error_um"], row["trained"]["dice"]
        design = row["design"]
        line(
            name, f"{design['pixel_pitch_um']:.1f}", f"{design['half_angle_deg']:.1f}",
            f"{error:.2f} ± {own:.2f}", f"{dice_:.3f} ± {spread:.3f}", f"{row['photons']:.0f}",
        )  # fmt: skip
    print("\n## Designs\n\nDepth errors in µm.\n")
    line(
        "pitch", "half angle", "base blur", "gap", "exposure", "sensors", "trained: depth error",
        "Dice", "shipped: depth error", "Dice", "bound",
    )  # fmt: skip
    print("|" + "---|" * 11)
    for row in rows:
        d, t, q = row["design"], row["trained"], row["quick"]
        error, own = t["depth_error_um"]
        line(
            f"{d['pixel_pitch_um']:.1f}", f"{d['half_angle_deg']:.1f}", f"{d['base_blur_um']:.1f}",
            f"{d['gap_um']:.0f}", f"{d['exposure_s']:.4f}", str(d["sensors"]),
            f"{error:.2f} ± {own:.2f}", f"{t['dice'][0]:.3f}",
            f"{q['depth_error_um']:.2f} ± {q['depth_error_um_se']:.2f}", f"{q['dice']:.3f}",
            f"{q['depth_bound_um']:.2f}",
        )  # fmt: skip


def line(*cells: str) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |")


HEAD = """# Quick scores of designs against networks trained for each

`python benchmarks/design.py train DIR`, then `quick`, `best` and `report`. {designs} designs
({two} of two sensors) of 32 x 32 pixels a sensor: the reference, and a Sobol sequence over pitch 42
to 85 µm, half angle 11 to 29°, base blur 0 to 20 µm, gap 700 to 1000 µm, exposure 1 to 100 ms, one
or two sensors; those outside the networks' training are left out. For each, the shipped network is
fine-tuned: {steps} steps of {batch} scenes of that design alone, its imager known exactly, at its
own light. Trained networks are scored on 256 scenes, quick scores on 64 others. Wanted were 30
designs or more; so many were trained in 36 minutes of a tenth to a half of a busy core.

A fine-tuning of so few steps starts from the network that gives the quick score, so the two are no
strangers. Networks trained from random weights would be the stricter test, and take hours each. A
part of the correlation of depth errors is the gap's, with which all of them shrink: the column "per
gap" divides both by the gap.

## Rank correlation

Spearman's, with 95 % intervals (bootstrap over designs). Wanted: 0.95 for the network and 0.8 for
the bound. Scores of which more is better correlate negatively with errors.
"""
BEST = """## A better design at equal photons and pixels

The reference at 3000 photons of a cell in an exposure (2 ms), 32 x 32 pixels on each of two
sensors, beside the two best of 40 designs of pitch and half angle that `search = "optimise"` tried
there with the shipped network (25.1 µm; 17.8 and 17.8 µm). Pixels, wires, gap and the photons that
cells emit are the same. More of them arrive, because pixels are larger and the grating is wider;
the field of view is larger. All are fine-tuned alike. Wanted: 25 % less depth error.
"""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    job, where = sys.argv[1], Path(sys.argv[2])
    if job == "train":
        train(where, float(sys.argv[3]) if len(sys.argv) > 3 else 2700.0)
    elif job == "report":
        report(where)
    elif job == "best":
        best(where)
    elif job == "quick":
        quick(where)
