"""A visit: what one visitor has, and that it ends."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fociscope.app import server
from fociscope.app.capture_input import shipped_example
from fociscope.app.session import LatestOnly, Session
from fociscope.errors import FociscopeError


def test_a_visit_keeps_the_old_map_when_a_capture_cannot_be_reconstructed(tmp_path: Path) -> None:
    from dataclasses import replace

    session, example = Session(tmp_path), shipped_example()
    asyncio.run(session.reconstruct(example))
    with pytest.raises(FociscopeError, match="the same value in every pixel"):
        asyncio.run(session.reconstruct(replace(example, frames=np.ones_like(example.frames))))

    assert (session.number, session.capture_input) == (1, example)


def test_the_threshold_moves_the_mask(tmp_path: Path) -> None:
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(shipped_example()))
    usual = session.mask.sum()
    session.threshold = 0.9

    assert 0 < session.mask.sum() < usual
    assert session.scores is not None


def test_a_focus_that_is_pointed_at_has_its_own_pixels(tmp_path: Path) -> None:
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(shipped_example()))
    session.pointed_at = focus = session.foci[-1]
    pixels = session.focus_pixels

    assert pixels is not None
    assert pixels.sum() * 55.0**2 == pytest.approx(focus.area_um2)
    assert pixels[focus.layer].any()


def test_the_folder_of_a_visit_goes_with_it(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert list(tmp_path.iterdir()) == []  # none before there is something to keep
    (session.folder / "a.tif").write_bytes(b"cells")
    session.close()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FociscopeError, match="this visit has ended"):
        _ = session.folder


def test_wishes_that_come_while_it_works_become_one_more_run() -> None:
    done: list[int] = []
    wish = 0

    async def work() -> None:
        at_start = wish
        await asyncio.sleep(0.01)
        done.append(at_start)

    async def several() -> None:
        nonlocal wish
        latest = LatestOnly(work)
        running = []
        for number in range(5):
            wish = number
            running.append(asyncio.ensure_future(latest()))
            await asyncio.sleep(0)
        await asyncio.gather(*running)

    asyncio.run(several())
    assert done == [0, 4]


def test_a_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(FociscopeError, match=r"pip install '\.\[app\]'"):
        server.serve(0)
    assert importlib.util.find_spec("fociscope") is not None
