"""What a watch prints: a line for each capture as it comes, or JSON lines."""

from __future__ import annotations

import json

import pytest

from fociscope.cli import reconstruct_report as report
from fociscope.cli.watch_report import FrameLines, print_new
from fociscope.series._growing_file import SkippedFrame
from fociscope.series.following import WatchedFrame, WatchState

LINES = FrameLines(report.frame_line, report._is_odd, "layers.csv", "Model")


def frame(number: int, flags: str = "") -> WatchedFrame:
    layer = {"present": True, "depth_um": 240.6, "coverage": 0.021, "foci": 3}
    figures = {
        "layers": [layer, {**layer, "present": False}],
        "self_check_residual": {"A": 0.031, "B": 0.02},
        "quality_flags": flags,
    }
    return WatchedFrame(number, f"{number:04}_A.tif", figures, arrived_s=10.0, latency_s=0.123)


def state(*new: WatchedFrame, skipped: tuple[SkippedFrame, ...] = ()) -> WatchState:
    return WatchState(9, 4.0, 0, skipped, new, "layers-ab")


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(report.err, "print", lambda text, **_: found.append(text))
    return found


def test_a_capture_is_said_with_depth_coverage_foci_and_residual() -> None:
    assert report.frame_line(frame(7)) == (
        "7 0007_A.tif: 241 µm (2.1 %, 3 foci); residual A 3.1 %, B 2.0 %; 0.12 s"
    )


def test_a_capture_with_flags_is_said_not_to_be_trusted() -> None:
    assert report.frame_line(frame(7, "no light")).endswith("not to be trusted:[/] no light")


def test_of_many_at_once_the_last_and_those_with_flags_are_shown(lines) -> None:
    print_new(state(frame(1), frame(2, "no light"), *map(frame, range(3, 9))), LINES, False)
    assert [line.split()[0] for line in lines[:-1]] == ["2", "6", "7", "8"]
    assert "and 4 before" in lines[-1]


def test_json_has_a_line_for_each_capture_and_each_that_was_left_out(lines, capsys) -> None:
    print_new(state(frame(1), skipped=(SkippedFrame("2_A.tif", "no TIFF"),)), LINES, True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["event"], first["frame"], first["name"]) == ("frame", 1, "0001_A.tif")
    assert first["layers"][0]["depth_um"] == 240.6
    assert (first["arrived_s"], first["latency_s"]) == (10.0, 0.123)
    assert second == {"event": "left_out", "name": "2_A.tif", "why": "no TIFF"}


def test_a_batch_has_a_row_for_each_capture() -> None:
    one = {**frame(1).figures, "plausible": True, "name": "mouse1/x_A.tif"}
    absent = [{**layer, "present": False} for layer in one["layers"]]
    other = {**one, "layers": absent, "plausible": False, "name": "mouse2/x_A.tif"}
    columns = report._capture_columns([one, other])
    assert list(zip(*columns.values(), strict=True)) == [
        ("mouse1/x_A.tif", "241", "2.1", "3", "3.1, 2.0", "yes"),
        ("mouse2/x_A.tif", "", "", "0", "3.1, 2.0", "NO"),
    ]
