"""The jobs of `kills.py`: each writing verb with the smallest input that takes all its ways."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from kills import Job
from matplotlib.figure import Figure

import fociscope
from fociscope.calibration import simulated_stack, simulated_sweep
from fociscope.evaluation import card
from fociscope.figures import calibration, sweeps
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.imager import AngleSelectivePsf, Imager, MeasuredPsf
from fociscope.localization import EmitterResponse
from fociscope.series import series
from fociscope.training import run as training
from fociscope.workflows import _batch, _locating, _run, _volume, demo

__all__ = ["jobs", "prepare"]

#: Seen from the folder of a trial.
INPUTS = "../../../inputs"
A, B = (f"{INPUTS}/sensor_{side}.tif" for side in "ab")
CPU = ("--device", "cpu")
CHIP = Imager.preset("acus").with_(frame_px=(2, 24))
RECIPE = """
name = "tiny"
[imager]
frame_px = [32, 32]
sensors = 1
[network]
sensors = 1
layers = 1
widths = [4, 8]
blocks = [1, 1]
[family]
half_angle_deg = [18, 18]
base_blur_px = [0, 0]
[optimisation]
steps = 2
batch_scenes = 2
threads = 1
[stream]
pool_chunks = 1
chunk_scenes = 4
[validation]
every_steps = 1
scenes = 2
layers = 1
min_separation_um = 0
[calibration]
scenes = 10
family_scenes = 10
"""
STAGES = """
[[stages]]
name = "one"
[[stages]]
name = "two"
[stages.seeds]
training = 7
"""


def prepare(inputs: Path) -> None:
    """Make the inputs, and let series and cards be short, and pictures blank."""
    inputs.mkdir(parents=True)
    Figure.savefig = _blank
    for module, name in (
        (_run, "draw_reconstruction"),
        (_batch, "draw_batch"),
        (_locating, "draw_emitters"),
        (_volume, "draw_volume"),
        (demo, "draw_reconstruction"),
        (demo, "draw_comparison"),
        (calibration, "draw_calibration"),
        (sweeps, "draw_sweeps"),
    ):
        setattr(module, name, lambda *_, **__: Figure())
    series.LONG_FRAMES, series.PART_FRAMES, series.CHUNK_FRAMES = 2, 2, 2
    card.TEST_SCENES, training._LOG_EVERY_STEPS = 4, 1
    for name in ("sensor_a.tif", "sensor_b.tif"):
        with resources.as_file(resources.files("fociscope.demo") / name) as file:
            shutil.copy(file, inputs)
    for name, seed in (("series", 1), ("others", 2)):
        np.save(inputs / f"{name}.npy", fociscope.simulate(5, seed=seed).captures)
    for folder, seed, count in (("batch", 3, 3), ("before", 4, 2)):
        (inputs / folder).mkdir()
        scenes = fociscope.simulate(count, seed=seed)
        for number, capture in enumerate(scenes.captures):
            for side, image in zip("AB", capture, strict=True):
                tifffile.imwrite(inputs / folder / f"{number}_{side}.tif", image)
    response = EmitterResponse(Imager.reference(), (40, 40))
    light, _ = response(np.array([[900.0, 700.0, 350.0], [400.0, 1500.0, 640.0]]))
    noise = np.random.default_rng(0).normal(0, 2e-6, (2, 2, 40, 40))
    beads = 1e6 * (light.reshape(2, 2, 40, 40) + noise)
    np.save(inputs / "beads.npy", beads.astype(np.float32))
    np.save(inputs / "bead.npy", beads[1].astype(np.float32))
    (inputs / "beads").mkdir()
    for number, capture in enumerate(beads.astype(np.float32)):
        for side, image in zip("AB", capture, strict=True):
            tifffile.imwrite(inputs / "beads" / f"{number}_{side}.tif", image)
    true = Imager(sensors=1, frame_px=(41, 41), pixel_pitch_um=50.0,
                  psf=AngleSelectivePsf(half_angle_deg=14, base_blur_um=20))  # fmt: skip
    for seed in (2, 3):
        stack = simulated_stack(true, [[10.0, -15.0]], np.array([50.0, 150, 300, 450]), seed=seed)
        np.save(inputs / f"stack{seed}.npy", stack.counts[0])
    rows = ["frame,x_mm,depth_um"]
    x_um = np.linspace(0.0, 150.0, 4)
    for n, depth_um in enumerate((45.0, 110.0)):
        places = [[450.0, 12.0, depth_um + 6, 5e7], [150.0, 30.0, depth_um + 6, 4e7]]
        sweep = simulated_sweep(CHIP, places, depth_um, x_um=x_um, motions=("fixed", "moving"))
        np.save(inputs / f"sweep{n}.npy", sweep.counts.reshape(4, 48))
        rows += [f"{4 * n + k + 1},{x / 1000:g},{depth_um:g}" for k, x in enumerate(x_um)]
    (inputs / "stage.csv").write_text("\n".join(rows))
    Imager.reference().with_(gap_um=900.0, sensors=1).to_toml(inputs / "chip.toml")
    CHIP.with_(layout="row-major").to_toml(inputs / "start.toml")
    scenes = fociscope.simulate(20, seed=6)
    depth_map_um = scenes.mask * scenes.depth_um[..., None, None]
    truth = ImagesDepth(scenes.captures, scenes.layers, depth_map_um, scenes.depth_um)
    write_images_depth(inputs / "known.h5", truth)
    (inputs / "tiny.toml").write_text(RECIPE)
    (inputs / "staged.toml").write_text(RECIPE + STAGES)


def _blank(_: Figure, file: Any, **__: Any) -> None:
    """Write a picture that takes no time."""
    if hasattr(file, "write"):
        file.write(b"\x89PNG\r\n\x1a\n")
    else:
        Path(file).write_bytes(b"\x89PNG\r\n\x1a\n")


def jobs() -> Iterator[Job]:
    """Yield all jobs, quick ones first."""
    yield from _files()
    yield from _calibrations()
    yield from _data_sets()
    yield from _captures()
    yield from _volumes()
    yield from _models()
    yield from _series()
    yield from _emitters()
    yield from _reports()
    for name in ("tiny", "staged"):
        train = ("train", f"{INPUTS}/{name}.toml", "-o", "run", *CPU)
        yield Job(f"train ({name})", train, resume=(*train, "--resume"))


def measured(seed: int) -> Imager:
    """Return an imager with kernels of its own."""
    stack = np.random.default_rng(seed).random((3, 5, 5)) / 50
    return Imager(psf=MeasuredPsf.from_stack(stack, [0.0, 100.0, 1000.0], 55.0))


def _files() -> Iterator[Job]:
    new = ("imager", "new", "chip.toml", "--gap-um", "900")
    over = (*new, "--overwrite")
    yield Job("imager new", new)
    yield Job("imager new --overwrite", over, (("imager", "new", "chip.toml"),), plain=new)
    yield Job(
        "Imager.to_toml, measured, overwrite",
        lambda: measured(1).to_toml("chip.toml", overwrite=True),
        (lambda: measured(0).to_toml("chip.toml"),),
    )
    sheet = ("info", "set", "-o", "sheet.png", "--samples", "1")
    yield Job("info -o", sheet, (_simulate("mat5", 0),))


def _calibrations() -> Iterator[Job]:
    beads = ("calibrate", f"{INPUTS}/stack2.npy", "-o", "chips/chip.toml", "--depths",
             "50,150,300,450", "--pixel-pitch-um", "50")  # fmt: skip
    yield Job("calibrate (beads)", beads)
    other = (beads[0], f"{INPUTS}/stack3.npy", *beads[2:], "--model", "measured")
    kernels = (*beads, "--model", "measured")
    over = (*kernels, "--overwrite")
    yield Job("calibrate --overwrite (kernels over kernels)", over, (other,), plain=kernels)
    over = (*beads, "--overwrite")
    yield Job("calibrate --overwrite (beads over kernels)", over, (other,), plain=beads)
    stage = ("calibrate", f"{INPUTS}/sweep0.npy", f"{INPUTS}/sweep1.npy", "-o", "chips/chip.toml",
             "--imager", f"{INPUTS}/start.toml", "--stage", f"{INPUTS}/stage.csv",
             "--beads", "fixed,moving")  # fmt: skip
    over = (*stage, "--fit-depth-offset", "--overwrite")
    yield Job("calibrate --stage --overwrite", over, (stage,), plain=over[:-1])


def _simulate(form: str, seed: int, *more: str) -> tuple[str, ...]:
    return ("simulate", "images-depth", "-o", "set", "--files", "2", "--samples", "1", "--workers",
            "1", "--format", form, "--seed", str(seed), *more)  # fmt: skip


def _data_sets() -> Iterator[Job]:
    for form in ("mat5", "zarr"):
        made = _simulate(form, 1)
        yield Job(f"simulate ({form})", made, resume=(*made, "--resume"))
    over = _simulate("mat5", 1, "--overwrite")
    resume = _simulate("mat5", 1, "--resume")
    plain = _simulate("mat5", 1)
    yield Job("simulate --overwrite", over, (_simulate("mat5", 0),), resume, plain)
    over = _simulate("zarr", 1, "--overwrite")
    resume = _simulate("zarr", 1, "--resume")
    plain = _simulate("zarr", 1)
    yield Job("simulate --overwrite (zarr)", over, (_simulate("zarr", 0),), resume, plain)


def _captures() -> Iterator[Job]:
    one = ("reconstruct", A, B, "-o", "out", *CPU)
    other = ("reconstruct", f"{INPUTS}/before/0_A.tif", f"{INPUTS}/before/0_B.tif", *one[3:])
    every = ("--format", "ome-tiff", "--format", "npz", "--format", "ome-zarr", "--format", "csv")
    over = (*one, "--overwrite")
    yield Job("reconstruct (a capture)", one)
    yield Job("reconstruct (into an empty folder)", one, (lambda: Path("out").mkdir(),))
    yield Job("reconstruct --overwrite", over, (other,), plain=one)
    yield Job("reconstruct --overwrite (other formats)", over, ((*other, *every),), plain=one)
    several = ("reconstruct", f"{INPUTS}/series.npy", "-o", "out", *CPU)
    yield Job("reconstruct --overwrite (over a series)", over, (several,), plain=one)


def _volumes() -> Iterator[Job]:
    made = ("reconstruct", A, B, "-o", "out", "--volume", *CPU)
    files = ("--format", "npz", "--format", "ome-zarr", "--format", "csv")
    other = ("reconstruct", f"{INPUTS}/before/0_A.tif", f"{INPUTS}/before/0_B.tif", *made[3:])
    over = (*made, "--overwrite")
    yield Job("reconstruct --volume", made)
    yield Job("reconstruct --volume --overwrite", over, ((*other, *files),), plain=made)
    layers = tuple(word for word in made if word != "--volume")
    before = ((*layers, "--format", "npz", "--format", "ome-tiff"),)
    yield Job("reconstruct --volume --overwrite (over layers)", over, before, plain=made)
    over = (*layers, "--overwrite")
    yield Job("reconstruct --overwrite (over a volume)", over, (made,), plain=layers)


def _models() -> Iterator[Job]:
    made = ("calibrate-model", "layers-ab", "--data", f"{INPUTS}/known.h5", "--confidence", "0",
            "-o", "models/mine.safetensors", *CPU)  # fmt: skip
    yield Job("calibrate-model", made)
    over, other = (*made, "--overwrite"), (*made, "--false-foci", "0.2")
    yield Job("calibrate-model --overwrite", over, (other,), plain=made)
    for form, end in (("onnx", "onnx"), ("bioimageio", "zip"), ("torch", "pt2")):
        made = ("export", "single-a", "--to", form, "-o", f"graphs/model.{end}")
        other = (made[0], "single-a", *made[2:], "--imager", f"{INPUTS}/chip.toml")
        yield Job(f"export ({form})", made)
        yield Job(f"export --overwrite ({form})", (*made, "--overwrite"), (other,), plain=made)


def _series() -> Iterator[Job]:
    made = ("reconstruct", f"{INPUTS}/series.npy", "-o", "out", *CPU)
    other = ("reconstruct", f"{INPUTS}/others.npy", *made[2:])
    resume, over = (*made, "--resume"), (*made, "--overwrite")
    yield Job("reconstruct (a series)", made, resume=resume)
    yield Job("reconstruct --overwrite (a series)", over, (other,), resume, made)
    one = ("reconstruct", A, B, *made[2:], "--format", "npz", "--format", "ome-tiff")
    yield Job("reconstruct --overwrite (a series over a capture)", over, (one,), resume, made)
    batch = ("reconstruct", f"{INPUTS}/batch/*.tif", "-o", "out", "--batch", *CPU)
    before = ("reconstruct", f"{INPUTS}/before/*.tif", *batch[2:])
    resume, over = (*batch, "--resume"), (*batch, "--overwrite")
    yield Job("reconstruct --batch", batch, resume=resume)
    yield Job("reconstruct --batch --overwrite", over, (before,), resume, batch)
    watch = ("reconstruct", f"{INPUTS}/batch", "-o", "out", "--watch", "--idle", "0.3", *CPU)
    resume, over = (*watch, "--resume"), (*watch, "--overwrite")
    yield Job("reconstruct --watch", watch, resume=resume)
    other = (watch[0], f"{INPUTS}/before", *watch[2:])
    yield Job("reconstruct --watch --overwrite (over a series)", over, (other,), resume, watch)
    one = ("reconstruct", A, B, "-o", "out", *CPU)
    yield Job("reconstruct --watch --overwrite (over a capture)", over, (one,), resume, watch)


def _emitters() -> Iterator[Job]:
    made = ("locate", f"{INPUTS}/beads.npy", "-o", "out")
    resume, over = (*made, "--resume"), (*made, "--overwrite")
    yield Job("locate", made, resume=resume)
    one = ("locate", f"{INPUTS}/bead.npy", *made[2:])
    yield Job("locate --overwrite", over, (one,), resume, made)
    watch = ("locate", f"{INPUTS}/beads", "-o", "out", "--watch", "--idle", "0.3")
    yield Job("locate --watch", watch, resume=(*watch, "--resume"))


def _reports() -> Iterator[Job]:
    scored = ("evaluate", "constant", "--suite", "quick", "--conditions", "layers-2", "--baselines",
              "none", "-o", "report")  # fmt: skip
    other = (*scored[:5], "snr-20", *scored[6:])
    yield Job("evaluate", scored)
    yield Job("evaluate --overwrite", (*scored, "--overwrite"), (other,), plain=scored)
    demo = ("demo", "-o", "out", *CPU)
    yield Job("demo", demo)
    yield Job("demo --overwrite", (*demo, "--overwrite"), (demo,), plain=demo)
