"""A watched folder: captures as they come, and their figures over frames."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.app import following
from fociscope.app.capture_input import shipped_example
from fociscope.app.following import Following
from fociscope.app.session import Session
from fociscope.errors import CaptureError
from fociscope.workflows import ReconstructionOptions


def _arrive(folder: Path, name: str, side_px: int = 51) -> None:
    for sensor, image in zip("AB", shipped_example().frames[0], strict=True):
        tifffile.imwrite(folder / f"{name}_{sensor}.tif", image[:side_px, :side_px])


def _polled(watch: Following, came: int) -> None:
    """Look until so many captures came, or were left out."""
    end = time.monotonic() + 60
    while watch.came + len(watch.left_out) < came:
        assert time.monotonic() < end, "waited in vain"
        watch.poll()


def test_captures_come_in_their_order_and_other_sizes_are_left_out(tmp_path: Path) -> None:
    watch = Following(tmp_path, ReconstructionOptions())
    assert watch.poll() == 0
    _arrive(tmp_path, "1")
    _polled(watch, 1)
    _arrive(tmp_path, "2", side_px=40)
    _arrive(tmp_path, "3")
    _polled(watch, 3)

    assert watch.captures is not None
    assert watch.captures.frame_names == ("1_A.tif", "3_A.tif")
    assert [one.name for one in watch.left_out] == ["2_A.tif"]
    np.testing.assert_array_equal(watch.captures.frames[1], shipped_example().frames[0])


def test_only_the_newest_are_kept_and_figures_move_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEPT_BYTES", 0)
    monkeypatch.setattr(following, "LEAST_KEPT", 2)
    watch, session = Following(tmp_path, ReconstructionOptions()), Session(tmp_path / "visits")
    for number in range(1, 4):
        _arrive(tmp_path, str(number))
        _polled(watch, number)
        assert watch.captures is not None
        asyncio.run(session.go_on(watch.captures, new=1))

    assert watch.captures.frame_names == ("2_A.tif", "3_A.tif")
    assert sorted(session.traces) == [0, 1]
    assert session.frame == 1


def test_all_frames_of_a_series_have_figures(tmp_path: Path) -> None:
    from dataclasses import replace

    example = shipped_example()
    frames = np.concatenate([example.frames, example.frames[..., ::-1]])
    session = Session(tmp_path)

    async def fill() -> list[tuple[int, int]]:
        await session.reconstruct(replace(example, frames=frames, truths=(), is_series=True))
        return [done async for done in session.trace_all()]

    assert asyncio.run(fill()) == [(1, 1)]
    first, second = session.traces[0], session.traces[1]
    np.testing.assert_allclose(first.depth, second.depth, atol=30)
    assert session.result is not None
    assert first.coverage[0] == pytest.approx(100 * session.result.mask[0].mean())


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="nothing to follow"):
        following.watcher_of(tmp_path / "missing", ReconstructionOptions())
