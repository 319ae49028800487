"""One writer per folder: a second run of a verb into a folder in use ends in a line, at once."""

from pathlib import Path

import numpy as np
import pytest
from tiny_recipe import tiny_recipe

import fociscope
from fociscope.calibration import calibrate
from fociscope.cli import main
from fociscope.errors import FociscopeError
from fociscope.files.safe.locks import locked_folder
from fociscope.training import Recipe
from fociscope.training import train as train_alone
from fociscope.training.hardware import only_run_in

BUSY = "another process is writing into this folder"


@pytest.fixture
def busy(tmp_path: Path):
    """A folder that another run keeps: locks are of open files, not of processes."""
    with locked_folder(tmp_path / "run"):
        yield tmp_path / "run"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(tiny_recipe())
    return tmp_path / "tiny.toml"


@pytest.mark.parametrize("resume", [False, True])
def test_train(busy: Path, recipe: Path, resume: bool) -> None:
    token = hide_the_lock_from_this_thread()
    try:
        with pytest.raises(FociscopeError, match=BUSY):
            fociscope.train(recipe, busy, resume=resume)
        with pytest.raises(FociscopeError, match=BUSY):
            train_alone(Recipe.load(recipe), busy, resume=resume)
    finally:
        token()
    assert list(busy.iterdir()) == []


def hide_the_lock_from_this_thread():
    """Have this thread forget what it keeps, so that it is another run."""
    from fociscope.files.safe.locks import _held

    token = _held.set(frozenset())
    return lambda: _held.reset(token)


def test_other_processes_of_a_run_keep_nothing(busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with only_run_in(busy):
        pass


def test_a_run_that_fails_leaves_no_empty_folder(tmp_path: Path, recipe: Path) -> None:
    with pytest.raises(FociscopeError):
        fociscope.train(recipe, tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


def test_calibrate(busy: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "beads.npy", np.ones((3, 40, 40)))
    token = hide_the_lock_from_this_thread()
    try:
        with pytest.raises(FociscopeError, match=BUSY):
            calibrate(tmp_path / "beads.npy", busy / "chip.toml", depth_um=[200, 300, 400])
    finally:
        token()
    assert list(busy.iterdir()) == []


@pytest.mark.parametrize("verb", ["evaluate", "locate", "reconstruct"])
def test_verbs_that_write_a_folder(
    busy: Path, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Path(fociscope.__file__).parent / "demo"
    given = ["constant"] if verb == "evaluate" else [f"{demo}/sensor_a.tif", f"{demo}/sensor_b.tif"]
    arguments = ["fociscope", verb, *given, "-o", str(busy), "--overwrite"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert BUSY in capsys.readouterr().err
    assert list(busy.iterdir()) == []
