"""The sound folders of `mutants.py`, and what reads them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fociscope
from fociscope.calibration import read_depths, read_stack
from fociscope.cli import main as command_line
from fociscope.errors import FociscopeError
from fociscope.evaluation import read_results
from fociscope.evaluation.data_sets import DataSet
from fociscope.evaluation.methods import find_method
from fociscope.evaluation.results import SuiteSummary, as_json, write_results
from fociscope.evaluation.run import evaluate
from fociscope.files.captures.stage_table import read_stage_table
from fociscope.imager import AngleSelectivePsf, Imager, MeasuredPsf
from fociscope.napari_plugin.saved_emitters import read_saved_emitters
from fociscope.napari_plugin.saved_map import read_saved_map
from fociscope.networks import (
    Architecture,
    DepthBars,
    FalseFoci,
    Guarantees,
    VolumeArchitecture,
    VolumeModelInfo,
    VolumeNet,
    write_volume_model,
)
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import find_model, read_model, write_model
from fociscope.reconstruction import Model, load_model, load_volume_model
from fociscope.results import load_emitters, load_result
from fociscope.series import series as series_module
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import reconstruct_series
from fociscope.series.watch import watch_captures
from fociscope.simulation import DatasetPlan, simulate, write_dataset
from fociscope.training.hardware import ComputeSettings
from fociscope.training.recipe import Recipe
from fociscope.training.run import train
from fociscope.training.run_origin import RunOrigin
from fociscope.workflows import LocateOptions, _batch, _locating, _run, locate, reconstruct

__all__ = ["SUBJECTS", "Subject", "warm"]

SIDE_PX = 32
#: No larger than a test trains by.
RECIPE = f"""
name = "tiny"
[imager]
frame_px = [{SIDE_PX}, {SIDE_PX}]
[network]
widths = [4, 8]
blocks = [1, 1]
context = 8
[optimisation]
steps = 4
batch_scenes = 4
warmup_steps = 1
threads = 1
[stream]
pool_chunks = 1
chunk_scenes = 4
[validation]
every_steps = 2
scenes = 2
"""
STAGES = """
[[stages]]
name = "one"
[[stages]]
name = "two"
[stages.optimisation]
steps = 2
[stages.seeds]
training = 7
"""
VOLUMES = """
[volume]
slices = 8
specimen = { kind = "foci-in-depth" }
"""


@dataclass(frozen=True)
class Subject:
    """A sound folder, the records in it that are damaged, and what reads them."""

    name: str
    verb: str
    sound: Path
    records: tuple[str, ...]
    read: Callable[[Path], str]
    """Reads a copy of the folder; returns what tells the output from another."""
    is_of_people: bool = False
    """Whether the records are written by people, so that another valid value is no fault."""


class _Figure:
    """In place of figures, which nothing is read from."""

    def savefig(self, path: Path, **_: object) -> None:
        path.write_bytes(b"figure")


def warm() -> None:
    """Load what the children need, with small parts and no figures."""
    torch.set_num_threads(1)
    series_module.PART_FRAMES = series_module.CHUNK_FRAMES = 2
    for module, name in ((_run, "draw_reconstruction"), (_batch, "draw_batch")):
        setattr(module, name, lambda *_, **__: _Figure())
    _locating.draw_emitters = lambda *_, **__: _Figure()
    _model().reconstruct(_captures(1))


_kept: dict[str, Any] = {}


def _model() -> Model:
    if "model" not in _kept:
        _kept["model"] = load_model("layers-ab", device="cpu")
    return _kept["model"]


def _captures(count: int) -> np.ndarray:
    if "captures" not in _kept:
        _kept["captures"] = np.asarray(simulate(6, seed=5, imager=_imager()).captures)
    return _kept["captures"][:count]


def _imager() -> Imager:
    return Imager.reference().with_(frame_px=(SIDE_PX, SIDE_PX))


class _Series:
    """Captures in memory, the reading of which ends at a frame."""

    names: tuple[Path, ...] = ()

    def __init__(self, frames: int, ends_at: int | None = None) -> None:
        self._captures, self._ends_at = _captures(frames), ends_at
        self.shape = self._captures.shape

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        if self._ends_at is not None and start >= self._ends_at:
            raise KeyboardInterrupt
        return self._captures[start:stop]


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = part.tobytes()
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()


def _content(folder: Path, *left_out: str) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in files if path.name not in left_out]
    return _digest(*((str(path.relative_to(folder)), path.read_bytes()) for path in kept))


def _cli(*words: object) -> str:
    """Return what a verb prints; its error is raised."""
    said, wrong = io.StringIO(), io.StringIO()
    sys.argv = ["fociscope", *map(str, words)]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        try:
            command_line()
        except SystemExit as stop:
            if stop.code:
                raise FociscopeError(wrong.getvalue().strip()) from None
    return said.getvalue()


# ---- series that are taken up


def journal_maps(place: Path) -> Subject:
    folder = place / "maps"
    with contextlib.suppress(KeyboardInterrupt):
        reconstruct_series(_model(), _Series(5, ends_at=4), folder)
    store = "reconstruction.ome.zarr"
    records = ("journal.json", "journal.json", "frames.csv", "layers.csv", "foci.csv",
               f"{store}/zarr.json", f"{store}/0/zarr.json",
               f"{store}/depth_um/zarr.json")  # fmt: skip

    def read(copy: Path) -> str:
        options = ReconstructionOptions(resume=True)
        reconstruct_series(_model(), _Series(5), copy, options)
        return _content(copy)

    return Subject("series of maps", "reconstruct --resume", folder, records, read)


def journal_emitters(place: Path) -> Subject:
    response = fociscope.localization.EmitterResponse(_imager(), (SIDE_PX, SIDE_PX))
    rng = np.random.default_rng(0)
    light = [response(np.array([[600.0 + 50 * n, 580.0, 300.0]]))[0] for n in range(3)]
    captures = np.stack(light).reshape(3, 2, SIDE_PX, SIDE_PX)
    captures = captures + rng.normal(0, 1e-5, captures.shape)
    np.save(place / "beads.npy", captures)
    folder = place / "emitters"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    plain = LocateOptions(imager=_imager())
    with contextlib.suppress(KeyboardInterrupt):
        locate(place / "beads.npy", folder, plain, progress=stop)

    def read(copy: Path) -> str:
        locate(place / "beads.npy", copy, LocateOptions(imager=_imager(), resume=True))
        return _content(copy)

    records = ("journal.json", "journal.json", "frames.csv", "emitters.csv")
    return Subject("series of emitters", "locate --resume", folder, records, read)


def journal_watch(place: Path) -> Subject:
    arrivals, folder = place / "arrivals", place / "watched"
    arrivals.mkdir()

    def arrive(first: int, last: int) -> None:
        for number, capture in enumerate(_captures(last)[first:], first):
            for side, image in zip("AB", capture, strict=True):
                np.save(arrivals / f"{number}_{side}.npy", image)

    arrive(0, 2)
    options = ReconstructionOptions(formats=("csv", "ome-zarr"))
    watch_captures(_model(), [arrivals], folder, options, idle_s=0.3)
    arrive(2, 3)

    def read(copy: Path) -> str:
        resumed = ReconstructionOptions(formats=("csv", "ome-zarr"), resume=True)
        done = watch_captures(_model(), [arrivals], copy, resumed, idle_s=0.3)
        names = [line.split(b",")[:2] for line in (copy / "frames.csv").read_bytes().splitlines()]
        tables = [(copy / name).read_bytes() for name in ("layers.csv", "foci.csv")]
        return _digest(names, *tables, done.summary["series"])

    records = ("journal.json", "journal.json", "frames.csv", "layers.csv", "summary.json")
    return Subject("watched captures", "reconstruct --watch --resume", folder, records, read)


def journal_batch(place: Path) -> Subject:
    files = []
    for number, capture in enumerate(_captures(4)):
        files.append(place / f"c{number}.npy")
        np.save(files[-1], capture)
    folder = place / "batch"
    named = {"batch": True, "formats": ("csv",), "pages": "sensors", "device": "cpu"}
    reconstruct(files[:3], folder, ReconstructionOptions(**named))

    def read(copy: Path) -> str:
        done = reconstruct(files, copy, ReconstructionOptions(**named, resume=True))
        tables = [(copy / name).read_bytes() for name in ("frames.csv", "layers.csv", "foci.csv")]
        return _digest(*tables, json.dumps(done.summary["captures"]))

    records = ("journal.json", "frames.csv", "layers.csv", "c0/summary.json", "c1/summary.json",
               "summary.json")  # fmt: skip
    return Subject("batch", "reconstruct --batch --resume", folder, records, read)


def summary_maps(place: Path) -> Subject:
    folder = place / "done"
    reconstruct_series(_model(), _Series(4), folder)

    def read(copy: Path) -> str:
        options = ReconstructionOptions(resume=True)
        done = reconstruct_series(_model(), _Series(4), copy, options)
        said = [done.summary[name] for name in ("identity", "series", "cell_diameter_um")]
        return _digest(json.dumps(said), _content(copy, "summary.json"))

    return Subject("complete series", "reconstruct --resume", folder, ("summary.json",), read)


def summary_emitters(place: Path) -> Subject:
    sound = journal_emitters(place)
    sound.read(sound.sound)

    def read(copy: Path) -> str:
        resumed = LocateOptions(imager=_imager(), resume=True)
        done = locate(place / "beads.npy", copy, resumed)
        said = done.summary
        return _digest(json.dumps([said[n] for n in ("identity", "emitters", "median_misfit")]))

    return Subject("complete emitters", "locate --resume", sound.sound, ("summary.json",), read)


# ---- results that are opened again


def _arrays(copy: Path) -> str:
    result = load_result(copy)
    arrays = (result.probability, result.intensity, result.presence, result.depth_um,
              result.depth_std_um, result.residual)  # fmt: skip
    flags = None if result.quality_flags is None else result.quality_flags.tolist()
    times = None if result.time_s is None else result.time_s.tolist()
    return _digest(*arrays, flags, times, result.names, result.model, result.imager)


def _saved(place: Path, formats: str, *, frames: int = 0) -> Path:
    captures = _captures(frames) if frames else _captures(1)[0]
    _model().reconstruct(captures).save(place / formats, (formats, "csv"))
    return place / formats


def result_tiff(place: Path) -> Subject:
    records = ("summary.json", "summary.json", "probability.ome.tif", "intensity.ome.tif")
    return Subject("result, OME-TIFF", "load_result", _saved(place, "ome-tiff"), records, _arrays)


def napari_map(place: Path) -> Subject:
    def read(copy: Path) -> str:
        layers = read_saved_map(copy)
        return _digest(*(np.asarray(layer[0]) for layer in layers), len(layers))

    records = ("summary.json", "probability.ome.tif", "intensity.ome.tif")
    return Subject("result, OME-TIFF", "napari", _saved(place, "ome-tiff"), records, read)


def napari_emitters(place: Path) -> Subject:
    sound = journal_emitters(place)
    sound.read(sound.sound)

    def read(copy: Path) -> str:
        layers = read_saved_emitters(copy)
        return _digest(*(np.asarray(layer[0]) for layer in layers), len(layers))

    records = ("summary.json", "emitters.csv", "frames.csv")
    return Subject("emitters", "napari", sound.sound, records, read)


def result_npz(place: Path) -> Subject:
    records = ("summary.json", "reconstruction.npz", "reconstruction.npz")
    return Subject("result, NPZ", "load_result", _saved(place, "npz"), records, _arrays)


def result_zarr(place: Path) -> Subject:
    folder = _saved(place, "ome-zarr", frames=2)
    store = "reconstruction.ome.zarr"
    chunks = [str(p.relative_to(folder)) for p in (folder / store).rglob("*") if p.is_file()]
    records = ("summary.json", "frames.csv", *sorted(chunks))
    return Subject("result, OME-Zarr", "load_result", folder, records, _arrays)


def result_series(place: Path) -> Subject:
    folder = place / "series"
    reconstruct_series(_model(), _Series(4), folder)
    records = ("summary.json", "frames.csv", "frames.csv")
    return Subject("series", "load_result", folder, records, _arrays)


def result_emitters(place: Path) -> Subject:
    sound = journal_emitters(place)
    sound.read(sound.sound)

    def read(copy: Path) -> str:
        found = load_emitters(copy)
        return _digest(*(np.asarray(value) for value in vars(found).values()))

    records = ("emitters.csv", "frames.csv")
    return Subject("emitters", "load_emitters", sound.sound, records, read)


def result_part_of_batch(place: Path) -> Subject:
    from fociscope.results.load import read_batch_part

    folder = _saved(place, "npz")

    def read(copy: Path) -> str:
        return _digest(json.dumps(read_batch_part(copy / "summary.json")))

    return Subject("part of a batch", "reconstruct --batch", folder, ("summary.json",), read)


def info_results(place: Path) -> Subject:
    _saved(place, "npz")
    reconstruct_series(_model(), _Series(4), place / "series")
    with contextlib.suppress(KeyboardInterrupt):
        reconstruct_series(_model(), _Series(5, ends_at=4), place / "journal")
    records = ("npz/summary.json", "series/summary.json", "journal/journal.json")

    def read(copy: Path) -> str:
        return "".join(_cli("info", copy / name) for name in ("npz", "series", "journal"))

    return Subject("results", "info", place, records, read)


# ---- training


def _trained(place: Path) -> tuple[Recipe, Path]:
    """Return a recipe, and a run by it that ended before its last step."""
    path, folder = place / "tiny.toml", place / "run"
    path.write_text(RECIPE)
    short = Recipe.load(path)
    train(short, folder, compute=ComputeSettings("cpu"))
    return short, folder


def train_resume(place: Path) -> Subject:
    from fociscope.training import _module
    from fociscope.training._checkpoint import read_checkpoint

    path, folder = place / "tiny.toml", place / "run"
    path.write_text(RECIPE)
    recipe, step = Recipe.load(path), _module.TrainingModule.training_step

    def killed(self: Any, *batch: Any) -> Any:
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, *batch)

    _module.TrainingModule.training_step = killed
    with contextlib.suppress(KeyboardInterrupt, FociscopeError):
        train(recipe, folder, compute=ComputeSettings("cpu"))
    _module.TrainingModule.training_step = step

    def read(copy: Path) -> str:
        train(recipe, copy, resume=True, compute=ComputeSettings("cpu"))
        states = [read_checkpoint(copy / "checkpoints" / f"{n}.ckpt") for n in ("last", "best")]
        weights = [v.numpy() for state in states for v in state["state_dict"].values()]
        return _digest(*weights, RunOrigin.read(copy / "start.json"))

    records = ("checkpoints/last.ckpt", "checkpoints/last.ckpt", "checkpoints/best.ckpt",
               "start.json", "recipe.json", "recipe.toml", "curves/metrics.csv")  # fmt: skip
    return Subject("training run", "train --resume", folder, records, read)


def info_run(place: Path) -> Subject:
    sound = train_resume(place)
    records = ("recipe.toml", "curves/metrics.csv")

    def read(copy: Path) -> str:
        return _cli("info", copy)

    return Subject("training run", "info", sound.sound, records, read, is_of_people=True)


def recipes(place: Path) -> Subject:
    (place / "recipe").mkdir()
    (place / "recipe" / "tiny.toml").write_text(RECIPE)

    def read(copy: Path) -> str:
        recipe = Recipe.load(copy / "tiny.toml")
        return _digest(recipe.model_dump_json(), _cli("info", copy / "tiny.toml"))

    sound, records = place / "recipe", ("tiny.toml",)
    return Subject("recipe", "train, info", sound, records, read, is_of_people=True)


def models(place: Path) -> Subject:
    _, info = read_model(find_model("layers-ab"))
    sizes = {"widths": (4, 8), "blocks": (1, 1), "context": 8}
    small = info.architecture.model_copy(update=sizes)
    torch.manual_seed(0)
    (place / "model").mkdir()
    about = info.model_copy(update={"architecture": small})
    write_model(place / "model" / "m.safetensors", LayerNet(small), about)

    def read(copy: Path) -> str:
        result = load_model(copy / "m.safetensors", device="cpu").reconstruct(_captures(1))
        return _digest(result.probability, result.depth_um, result.depth_std_um, result.presence)

    sound = place / "model"
    return Subject("model", "reconstruct --model", sound, ("m.safetensors",), read)


def guarantees(place: Path) -> Subject:
    sound = models(place)
    path = sound.sound / "m.safetensors"
    network, info = read_model(path)
    promised = Guarantees(
        captures=100,
        layers=info.layers,
        data="known",
        confidence=0.95,
        false_foci=FalseFoci(most=0.05, threshold=0.8),
        depth_bars=DepthBars(least=0.9, factor=1.9),
    )
    write_model(path, network, info.model_copy(update={"guarantees": promised}), overwrite=True)

    def read(copy: Path) -> str:
        result = load_model(copy / "m.safetensors", device="cpu").reconstruct(_captures(1))
        result.save(copy / "out", ("csv",))
        said = (copy / "out" / "summary.json").read_text()
        return _digest(result.guarantees, json.loads(said)["guarantees"], result.probability)

    records = ("m.safetensors",)
    return Subject("model with guarantees", "reconstruct, save", sound.sound, records, read)


def result_guarantees(place: Path) -> Subject:
    sound = guarantees(place)
    model = load_model(sound.sound / "m.safetensors", device="cpu")
    model.reconstruct(_captures(1)[0]).save(place / "result", ("npz", "csv"))

    def read(copy: Path) -> str:
        return _digest(load_result(copy).guarantees, _cli("info", copy))

    records = ("summary.json",)
    return Subject("result with guarantees", "load_result, info", place / "result", records, read)


def _volume_model(place: Path) -> Path:
    torch.manual_seed(0)
    trunk = Architecture(patch_px=1, widths=(4, 8), blocks=(1, 1))
    architecture = VolumeArchitecture(trunk=trunk, slices=6)
    (place / "volume").mkdir()
    info = VolumeModelInfo(
        name="own",
        architecture=architecture,
        imager=_imager(),
        half_angle_deg=(9.0, 30.0),
        base_blur_px=(0.0, 1.3),
        peak_snr_db=(18.0, 50.0),
    )
    path = place / "volume" / "m.safetensors"
    write_volume_model(path, VolumeNet(architecture).eval(), info)
    return path


def volume_models(place: Path) -> Subject:
    path = _volume_model(place)

    def read(copy: Path) -> str:
        model = load_volume_model(copy / "m.safetensors", device="cpu")
        volume = model.reconstruct(_captures(1)[0])
        return _digest(
            volume.probability, volume.intensity, volume.slice_um, volume.foci().depth_um
        )

    sound, records = path.parent, ("m.safetensors",)
    return Subject("model of volumes", "reconstruct --volume", sound, records, read)


def volume_results(place: Path) -> Subject:
    model = load_volume_model(_volume_model(place), device="cpu")
    every = ("ome-tiff", "ome-zarr", "npz", "csv")
    model.reconstruct(_captures(1)[0]).save(place / "result", every)

    def read(copy: Path) -> str:
        return _cli("info", copy)

    files = [p for p in sorted((place / "result").iterdir()) if p.is_file()]
    records = (*(p.name for p in files), *["summary.json"] * len(files))
    return Subject("volume", "info", place / "result", records, read)


# ---- data sets


def _data(place: Path, form: str) -> tuple[DatasetPlan, Path]:
    plan = DatasetPlan(files=2, samples=2, layers=2, format=form, imager=_imager())
    write_dataset(place / form, plan, workers=1)
    return plan, place / form


def _records_of(folder: Path) -> tuple[str, ...]:
    files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    others = sorted(file for file in files if file != "dataset.json")
    return (*others, *["dataset.json"] * max(len(others), 1))


def _evaluated(copy: Path) -> str:
    scored = DataSet(copy)
    done = evaluate([scored], [find_method("constant")], SuiteSummary(name="data"))
    (condition,) = done.results.conditions
    scores = condition.scored("constant")
    summary = scored.described().model_dump_json()
    return _digest(summary, scored.task, scores.accuracy, scores.depth_error_um)


def data_evaluate_mat(place: Path) -> Subject:
    folder = _data(place, "mat5")[1]
    return Subject("data set, MAT", "evaluate --data", folder, _records_of(folder), _evaluated)


def data_evaluate_zarr(place: Path) -> Subject:
    folder = _data(place, "zarr")[1]
    return Subject("data set, Zarr", "evaluate --data", folder, _records_of(folder), _evaluated)


def data_resume(place: Path) -> Subject:
    plan, folder = _data(place, "hdf5")

    def read(copy: Path) -> str:
        write_dataset(copy, plan, workers=1, resume=True)
        return _content(copy)

    return Subject("data set, HDF5", "simulate --resume", folder, _records_of(folder), read)


def data_info(place: Path) -> Subject:
    folder = _data(place, "mat5")[1]

    def read(copy: Path) -> str:
        return _cli("info", copy)

    return Subject("data set", "info", folder, _records_of(folder), read)


def evaluation(place: Path) -> Subject:
    folder = _data(place, "mat5")[1]
    done = evaluate([DataSet(folder)], [find_method("constant")], SuiteSummary(name="data"))
    (place / "report").mkdir()
    write_results(place / "report" / "results.json", done.results)

    def read(copy: Path) -> str:
        return _digest(as_json(read_results(copy / "results.json")))

    return Subject("evaluation", "read_results", place / "report", ("results.json",), read)


# ---- imagers


def imagers(place: Path) -> Subject:
    depth_um = np.array([50.0, 400.0, 1000.0])
    kernels = AngleSelectivePsf().kernel(depth_um, 55.0, radius_px=4)
    psf = MeasuredPsf.from_stack(kernels, depth_um, pixel_pitch_um=55.0)
    folder = place / "imager"
    folder.mkdir()
    _imager().with_(psf=psf).to_toml(folder / "imager.toml")
    shutil.copy(folder / "imager.toml", folder / "copy.toml")
    Imager.reference().to_toml(folder / "plain.toml")

    def read(copy: Path) -> str:
        both = [Imager.load(copy / name) for name in ("imager.toml", "plain.toml")]
        return _digest(*(one.model_dump_json() for one in both), _cli("info", copy / "imager.toml"))

    records = ("imager.toml", "plain.toml", "imager.psf.ome.tif")
    return Subject("imager", "all verbs, info", folder, records, read, is_of_people=True)


def recipes_of_stages(place: Path) -> Subject:
    (place / "recipe").mkdir()
    (place / "recipe" / "staged.toml").write_text(RECIPE + STAGES)
    (place / "recipe" / "volume.toml").write_text(RECIPE + VOLUMES)

    def read(copy: Path) -> str:
        both = [copy / name for name in ("staged.toml", "volume.toml")]
        dumped = [Recipe.load(path).model_dump_json() for path in both]
        return _digest(*dumped, *(_cli("info", path) for path in both))

    sound, records = place / "recipe", ("staged.toml", "volume.toml")
    return Subject("recipes of stages, of volumes", "train, info", sound, records, read, True)


def stage_tables(place: Path) -> Subject:
    (place / "stage").mkdir()
    rows = [f"{n + 1},{n / 20:g},{45 + n}" for n in range(8)]
    (place / "stage" / "stage.csv").write_text("\n".join(["frame,x_mm,depth_um", *rows]) + "\n")

    def read(copy: Path) -> str:
        return _digest(read_stage_table(copy / "stage.csv"))

    sound, records = place / "stage", ("stage.csv",)
    return Subject("table of a stage", "calibrate --stage", sound, records, read, True)


def depth_tables(place: Path) -> Subject:
    (place / "beads").mkdir()
    np.save(place / "beads" / "stack.npy", _captures(4)[:, 0])
    rows = [f"{n + 1},{100 * n + 50}" for n in range(4)]
    (place / "beads" / "depths.csv").write_text("\n".join(["frame,depth_um", *rows]) + "\n")

    def read(copy: Path) -> str:
        depth_um = read_depths(copy / "depths.csv")
        stack = read_stack(copy / "stack.npy", depth_um=depth_um)
        return _digest(stack.counts, stack.depth_um)

    sound, records = place / "beads", ("depths.csv",)
    return Subject("table of depths", "calibrate --depths", sound, records, read, True)


SUBJECTS: tuple[Callable[[Path], Subject], ...] = (
    journal_maps, journal_emitters, journal_watch, journal_batch, summary_maps, summary_emitters,
    result_tiff, result_npz, result_zarr, result_series, result_emitters, result_part_of_batch,
    info_results, napari_map, napari_emitters, models, data_evaluate_mat, data_evaluate_zarr,
    data_resume, data_info, evaluation, imagers, recipes, info_run, train_resume, guarantees,
    result_guarantees, volume_models, volume_results, recipes_of_stages, stage_tables,
    depth_tables,
)  # fmt: skip
