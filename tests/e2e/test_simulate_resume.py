"""`fociscope simulate --resume`: what was interrupted ends in the bytes of an unbroken run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fociscope.files.safe.records import write_record
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan

TINY = ("--files", 3, "--samples", 2, "--workers", 1)
RUN = "from fociscope.cli import main; main()"


def simulate(fociscope, folder, *options):
    return fociscope("simulate", "images-depth", "-o", folder, *TINY, *options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("file_format", ["mat5", "zarr"])
def test_what_is_missing_or_damaged_is_made_again(fociscope, tmp_path, file_format):
    folder = tmp_path / "d"
    assert simulate(fociscope, folder, "--format", file_format).code == 0
    whole = contents(folder)
    first, second, third = sorted(folder.glob("[1-3].*"))
    shutil.rmtree(first) if first.is_dir() else first.unlink()
    damaged = second / "zdist_PSF" / "c" / "0" / "0" if second.is_dir() else second
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    kept = third.stat().st_mtime_ns
    ran = simulate(fociscope, folder, "--format", file_format, "--resume")
    assert ran.code == 0, ran.err
    assert contents(folder) == whole
    assert third.stat().st_mtime_ns == kept
    assert f"Kept, whole already: {third.name}" in ran.out


def test_a_finished_set_is_left_alone(fociscope, tmp_path):
    simulate(fociscope, tmp_path / "d")
    before = contents(tmp_path / "d")
    ran = simulate(fociscope, tmp_path / "d", "--resume")
    assert ran.code == 0
    assert "Complete already" in ran.out
    assert contents(tmp_path / "d") == before


def test_resume_starts_where_nothing_is(fociscope, tmp_path):
    assert simulate(fociscope, tmp_path / "d", "--resume").code == 0
    assert (tmp_path / "d" / "3.mat").is_file()


def test_resume_does_not_touch_files_of_unknown_origin(fociscope, tmp_path):
    (tmp_path / "2.mat").write_bytes(b"mine")
    assert simulate(fociscope, tmp_path, "--resume").code == 1
    assert (tmp_path / "2.mat").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--seed", 5), "seed"), (("--peak-snr-db", 30), "peak_snr_db"), (("--layers", 2), "layers")],
)
def test_other_settings_do_not_go_on(fociscope, tmp_path, options, says):
    simulate(fociscope, tmp_path / "d")
    before = contents(tmp_path / "d")
    ran = simulate(fociscope, tmp_path / "d", *options, "--resume")
    assert ran.code == 1
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert contents(tmp_path / "d") == before


def test_other_versions_do_not_go_on(fociscope, tmp_path):
    simulate(fociscope, tmp_path / "d")
    record = tmp_path / "d" / "dataset.json"
    values = json.loads(record.read_text().replace('"numpy": "', '"numpy": "0.'))
    write_record(record, values, overwrite=True)
    ran = simulate(fociscope, tmp_path / "d", "--resume")
    assert ran.code == 1
    assert "numpy" in ran.err


def test_leftovers_of_a_killed_run_are_removed_and_named(fociscope, tmp_path):
    simulate(fociscope, tmp_path / "d")
    whole = contents(tmp_path / "d")
    (tmp_path / "d" / ".2-0123456789ab.mat").write_bytes(b"half")
    ran = simulate(fociscope, tmp_path / "d", "--resume")
    assert ran.code == 0
    assert ".2-0123456789ab.mat" in ran.out
    assert contents(tmp_path / "d") == whole


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "d"
    write_dataset(folder, DatasetPlan(files=24, samples=4), workers=1)
    return contents(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("how", "when"),
    [(signal.SIGINT, "2.mat"), (signal.SIGKILL, "2.mat"), (signal.SIGINT, "dataset.json")],
)
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    fociscope, tmp_path, uninterrupted, how, when
):
    folder = tmp_path / "d"
    options = ["simulate", "images-depth", "-o", str(folder), "--files", "24", "--samples", "4"]
    started = subprocess.Popen(
        [sys.executable, "-c", RUN, *options, "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    while not (folder / when).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    if when == "dataset.json":
        time.sleep(0.5)  # the workers are starting
    # Ctrl-C reaches the whole group; a kill by number only the one.
    (os.killpg if how == signal.SIGINT else os.kill)(started.pid, how)
    _, err = started.communicate(timeout=60)
    assert started.returncode == (130 if how == signal.SIGINT else -how)
    wait_for_the_end_of(started.pid)
    left = contents(folder)
    assert len(left) < len(uninterrupted)
    for name in (name for name in left if name.endswith(".mat") and not name.startswith(".")):
        assert left[name] == uninterrupted[name]
    if how == signal.SIGINT:
        assert "--resume" in err
        assert "Traceback" not in err
        assert not [name for name in left if name.startswith(".")]

    ran = fociscope(*options, "--resume", "--workers", 1)
    assert ran.code == 0, ran.err
    assert contents(folder) == uninterrupted


def wait_for_the_end_of(group: int) -> None:
    """Wait until no process of the group is left."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("worker processes outlived their parent")
