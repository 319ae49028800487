"""Records that a run leaves, damaged by a seed, are refused in one plain line or read right.

A quick part of `benchmarks/mutants.py`, which reads them by the verbs, under limits.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError
from fociscope.imager import Imager
from fociscope.localization import Emitters
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import ModelInfo, find_model, read_model, write_model
from fociscope.results import Reconstruction, load_emitters, load_result
from fociscope.series.folder import EmittersFolder, open_folder, open_series_folder
from fociscope.simulation import DatasetPlan
from fociscope.simulation.dataset_record import DatasetRecord, current_versions, read_record
from fociscope.training._checkpoint import read_state, write_checkpoint
from fociscope.training.run_origin import ModelRecord, RunOrigin

MUTANTS = Path(__file__).parents[2] / "benchmarks" / "mutations.py"
TRIES = 60
IMAGER = Imager.reference().with_(frame_px=(32, 32))

Read = Callable[[Path], object]


@pytest.fixture(scope="module")
def mutations() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutations", MUTANTS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_map() -> Reconstruction:
    rng = np.random.default_rng(0)
    figures = np.ones((2, 4), np.float32)
    return Reconstruction(
        probability=rng.random((2, 4, 8, 9), dtype=np.float32),
        presence=figures,
        intensity=rng.random((2, 4, 8, 9), dtype=np.float32),
        depth_um=figures * [100, 200, 300, 400],
        depth_std_um=figures,
        captures=rng.random((2, 2, 8, 9), dtype=np.float32),
        reprojection=rng.random((2, 2, 8, 9), dtype=np.float32),
        imager=Imager.reference().with_(frame_px=(8, 9)),
        model="by hand",
        names=("a", "b"),
    )


def emitters() -> Emitters:
    ones = np.ones(3)
    return Emitters(
        frame=np.arange(3), x_um=ones, y_um=ones, depth_um=ones, x_std_um=ones, y_std_um=ones,
        depth_std_um=ones, brightness=ones, probability=ones, background=np.ones((3, 2)),
        misfit=ones,
    )  # fmt: skip


def series(folder: Path) -> Read:
    made = {"formats": ("csv",), "identity": {"model": "by hand"}, "frames_per_chunk": 1}
    with open_series_folder(folder, **made) as opened:
        opened.append(a_map())

    def read(copy: Path) -> object:
        with open_series_folder(copy, **made, resume=True) as opened:
            return opened.frames, [(copy / name).read_bytes() for name in opened.tables]

    return read


def located(folder: Path) -> Read:
    identity = {"kind of results": "emitters"}
    with open_folder(folder, EmittersFolder, identity) as opened:
        opened.append(emitters())
        opened.finish({"kind": "emitters", "frames": 3, "emitters": 3, "median_misfit": 1.0})
    return lambda copy: [value.tolist() for value in vars(load_emitters(copy)).values()]


def result(folder: Path) -> Read:
    a_map().save(folder, ("npz", "csv"))
    return lambda copy: load_result(copy).depth_um.tolist()


def data_set(folder: Path) -> Read:
    plan = DatasetPlan(files=2, samples=2, imager=IMAGER)
    record = DatasetRecord(versions=current_versions(plan.format), plan=plan)
    record.write(folder, overwrite=False)
    return read_record


def origin(folder: Path) -> Read:
    sound = RunOrigin(model=ModelRecord(name="m", sha256="0" * 64), processes=2)
    sound.write(folder / "start.json")
    return lambda copy: RunOrigin.read(copy / "start.json")


def model(folder: Path) -> Read:
    _, about = read_model(find_model("single-a"))
    sizes = {"widths": (1, 1), "blocks": (0, 0), "context": 8, "patch_px": 1}
    small = about.architecture.model_copy(update=sizes)
    torch.manual_seed(0)
    about = about.model_copy(update={"architecture": small})
    write_model(folder / "m.safetensors", LayerNet(small), about)

    def read(copy: Path) -> tuple[ModelInfo, list[list[float]]]:
        network, info = read_model(copy / "m.safetensors")
        return info, [tensor.flatten().tolist() for tensor in network.state_dict().values()]

    return read


def state(folder: Path) -> Read:
    weights = {"network.a": torch.arange(6.0), "network.b": torch.ones(2, 2)}
    write_checkpoint(
        folder / "last.ckpt", {"global_step": 4, "state_dict": weights, "loops": [1, (2.5, None)]}
    )

    def read(copy: Path) -> object:
        found = read_state(copy / "last.ckpt")
        arrays = {name: tensor.tolist() for name, tensor in found["state_dict"].items()}
        return {**found, "state_dict": arrays}

    return read


CASES: dict[str, tuple[Callable[[Path], Read], tuple[str, ...]]] = {
    "series": (series, ("journal.json", "frames.csv", "layers.csv")),
    "emitters": (located, ("summary.json", "frames.csv", "emitters.csv")),
    "result": (result, ("summary.json", "reconstruction.npz")),
    "data set": (data_set, ("dataset.json",)),
    "origin of a run": (origin, ("start.json",)),
    "model": (model, ("m.safetensors",)),
    "state": (state, ("last.ckpt",)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mutant_is_refused_or_read_right(name: str, mutations, tmp_path: Path) -> None:
    make, records = CASES[name]
    folder = tmp_path / "sound"
    folder.mkdir()
    read = make(folder)
    sound, expected = {one: (folder / one).read_bytes() for one in records}, read(folder)
    refused = 0
    for number in range(TRIES):
        rng = random.Random(f"{name} {number}")
        record = rng.choice(records)
        content, how = mutations.mutated(rng, Path(record).suffix, sound[record])
        (folder / record).write_bytes(content)
        try:
            assert read(folder) == expected, (number, record, how)
        except FociscopeError as error:
            assert str(error).isprintable() and len(str(error)) < 2000, (number, record, how)
            refused += 1
        for one, before in sound.items():
            (folder / one).write_bytes(before)
    assert refused > TRIES / 2
