import csv
import errno
import sys
from pathlib import Path

import pytest

from fociscope.errors import FociscopeError
from fociscope.training import _curves as curves
from fociscope.training._curves import CurvesFile, tensorboard_logger


def write(file: CurvesFile, *steps: int) -> None:
    for step in steps:
        file.log_metrics({"train/loss": 0.1 * step, "epoch": 0}, step)
        if step % 4 == 3:
            file.log_metrics({"val/accuracy": 1 / 3, "epoch": 0}, step)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_figure_comes_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "curves" / "metrics.csv"
    write(CurvesFile(path), 1, 3)
    found = rows(path)
    assert [row["step"] for row in found] == ["1", "3", "3"]
    assert float(found[1]["train/loss"]) == 0.1 * 3
    assert float(found[2]["val/accuracy"]) == 1 / 3
    assert found[2]["train/loss"] == ""


def test_a_run_that_goes_on_writes_what_one_that_was_not_stopped_writes(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    write(CurvesFile(whole), 1, 3, 5, 7, 9)
    write(CurvesFile(parts), 1, 3, 5)
    write(CurvesFile(parts, first_step=4), 5, 7, 9)
    assert parts.read_bytes() == whole.read_bytes()


def test_a_run_from_the_beginning_takes_nothing_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(CurvesFile(path), 1, 3)
    write(CurvesFile(path), 1)
    assert len(rows(path)) == 1


def test_a_full_disk_is_one_plain_line_and_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.csv"
    file = CurvesFile(path)
    write(file, 1)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FociscopeError, match="disk is full"):
        write(file, 2)
    assert path.read_bytes() == before


def test_a_damaged_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss\n1,0.5\nx,0.2\n")
    write(CurvesFile(path, first_step=4), 5)
    assert [row["step"] for row in rows(path)] == ["1", "5"]


def test_without_tensorboard_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda _: None)
    with pytest.raises(FociscopeError, match=r"\[tensorboard\]"):
        tensorboard_logger(tmp_path)


def test_tensorboard_gets_its_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    logger = tensorboard_logger(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.save()
    logger.finalize("success")
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert "tensorboard" in sys.modules
