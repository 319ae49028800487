"""`fociscope reconstruct --watch` as a process of its own: followed, interrupted, killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.files.safe.locks import locked_folder
from fociscope.simulation import simulate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(simulate(4, seed=89).captures)


def write(folder: Path, number: int, pair: np.ndarray) -> None:
    for side, image in zip("AB", pair, strict=True):
        tifffile.imwrite(folder / f"{number}_{side}.tif", image)


def watching(folder: Path, output: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", "from fociscope.cli import main; main()", "reconstruct", "--watch",
         str(folder), "-o", str(output), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
    )  # fmt: skip


def frames(output: Path) -> list[str]:
    path = output / "frames.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [row["frame"] for row in csv.DictReader(stream)]


def certain(output: Path) -> int:
    journal = output / "journal.json"
    return json.loads(journal.read_text())["totals"]["frames"] if journal.exists() else 0


def wait_for(count: int, output: Path) -> None:
    for _ in range(600):
        if certain(output) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{certain(output)} of {count} frames after a minute")


def test_ctrl_c_ends_it_with_a_summary_and_a_kill_loses_nothing(captures, tmp_path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for n in range(2):
        write(folder, n, captures[n])
    killed = watching(folder, output)
    wait_for(2, output)
    killed.kill()
    killed.communicate()
    for n in range(2, 4):
        write(folder, n, captures[n])
    process = watching(folder, output, "--resume")
    wait_for(4, output)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "4 frame(s), 2 of them now" in said
    assert frames(output) == ["1", "2", "3", "4"]
    summary = json.loads((output / "summary.json").read_text())
    assert summary["series"]["frames"] == 4
    assert summary["left_out_count"] == 0


def test_what_never_became_whole_is_named_at_the_end(fociscope, captures, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder, 1, captures[0])
    tifffile.imwrite(folder / "2_A.tif", captures[1, 0])
    ran = fociscope("reconstruct", "--watch", folder, "-o", tmp_path / "out", "--idle", "1")
    assert ran.code == 0
    assert "1 capture(s) were seen and not reconstructed" in ran.err
    assert "2_A.tif" in ran.err


def test_two_runs_into_one_folder_are_refused(fociscope, captures, tmp_path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write(folder, 0, captures[0])
    watch = ["reconstruct", "--watch", folder, "-o", output, "--idle", "0.3"]
    assert fociscope(*watch).code == 0
    other_run, lock = copy_context(), locked_folder(output)
    other_run.run(lock.__enter__)
    ran = fociscope(*watch, "--resume")
    other_run.run(lock.__exit__, None, None, None)
    assert ran.code == 1
    assert "another process is writing" in ran.err
