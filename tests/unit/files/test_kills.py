"""Writers, killed before each of their file operations: see `benchmarks/kills.py`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fociscope.files import atomic_folder, atomic_path, atomic_tree
from fociscope.imager import Imager, MeasuredPsf
from fociscope.localization import Emitters
from fociscope.series.folder import EmittersFolder, open_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks into /proc")


@pytest.fixture(scope="module")
def kills() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "kills.py"
    spec = importlib.util.spec_from_file_location("kills", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


def write_file(text: str) -> None:
    with atomic_path(Path("depths.csv"), overwrite=True) as part:
        part.write_text(text)


def write_folder(text: str, names: tuple[str, ...], overwrite: bool = False) -> None:
    every = ("a.csv", "b.csv", "c.csv", "x.zarr/0", "summary.json")
    kinds = [name.partition("/")[0] for name in every]
    with atomic_folder(Path("out"), overwrite, removes=kinds) as part:
        for name in names:
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text('"' + text + '"')


def write_tree(text: str) -> None:
    with atomic_tree(Path("x.zarr"), overwrite=True) as part:
        (part / "0").write_text(text)


def write_imager(seed: int) -> None:
    stack = np.random.default_rng(seed).random((2, 3, 3)) / 50
    psf = MeasuredPsf.from_stack(stack, [0.0, 1000.0], 55.0)
    Imager(psf=psf).to_toml("chip.toml", overwrite=True)


def write_series(seed: int, resume: bool = False, overwrite: bool = False) -> None:
    with open_folder(
        Path("out"), EmittersFolder, {"captures": str(seed)}, resume=resume, overwrite=overwrite
    ) as folder:
        for frame in range(folder.frames, 0 if folder.is_complete else 2):
            light = np.full(1, seed + 0.1 * frame)
            columns = dict.fromkeys(Emitters.__dataclass_fields__, light)
            frames = {"frame": np.zeros(1, int), "background": np.ones((1, 1))}
            folder.append(Emitters(**{**columns, **frames}), [str(frame)])
        if not folder.is_complete:
            folder.finish({"kind": "emitters"})


#: Operations from one kill to the next, where there are many.
EVERY = {"an imager": 2, "a new series": 2, "a series": 4}
OLD, NEW = ("a.csv", "b.csv", "x.zarr/0", "summary.json"), ("a.csv", "c.csv", "summary.json")
JOBS: dict[str, tuple[Callable[[], None] | None, ...]] = {  # command, before, resume, plain
    "a file": (lambda: write_file("new"), lambda: write_file("old"), None, None),
    "a new folder": (lambda: write_folder("new", NEW), None, None, None),
    "a folder": (
        lambda: write_folder("new", NEW, overwrite=True),
        lambda: write_folder("old", OLD),
        None,
        lambda: write_folder("new", NEW),
    ),
    "a tree": (lambda: write_tree("new"), lambda: write_tree("old"), None, None),
    "an imager": (lambda: write_imager(1), lambda: write_imager(0), None, None),
    "a new series": (lambda: write_series(1), None, lambda: write_series(1, resume=True), None),
    "a series": (
        lambda: write_series(1, overwrite=True),
        lambda: write_series(0),
        lambda: write_series(1, resume=True),
        lambda: write_series(1),
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_every_state_a_kill_leaves_can_be_gone_on_from(
    kills: ModuleType, tmp_path: Path, name: str
) -> None:
    command, before, resume, plain = JOBS[name]
    job = kills.Job(name, command, (before,) if before else (), resume, plain)
    done = kills.Trial(job, tmp_path, forks=False).kill_all(EVERY.get(name, 1))
    assert done.faults == []
    assert done.kills > 3
