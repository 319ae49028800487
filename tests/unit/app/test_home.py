"""The folder of an app: it goes with the app, and the next one sweeps what a killed one left."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from fociscope.app.home import Ending, home_of_visitors, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals, no locks")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_holds_all_that_is_temporary_and_goes(temporary: Path) -> None:
    with home_of_visitors() as home:
        assert home.parent == temporary
        assert Path(tempfile.mkdtemp()).parent == home
    assert list(temporary.iterdir()) == []
    assert tempfile.gettempdir() == str(temporary)


def test_what_a_killed_app_left_is_swept_and_nothing_else(temporary: Path) -> None:
    left, other = temporary / "fociscope-app-abc", temporary / "fociscope-else"
    for folder in (left / "visit-1", other):
        folder.mkdir(parents=True)
        (folder / "cells.tif").write_bytes(b"cells")
    (temporary / "fociscope-app-link").symlink_to(other)
    with home_of_visitors() as running:
        assert not left.exists()
        assert sweep(temporary) == []
        assert running.is_dir()
    assert (other / "cells.tif").exists()


def test_a_folder_that_cannot_be_opened_is_left_alone(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary / "fociscope-app-abc").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # another user's
    assert sweep(temporary) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_like_ctrl_c_or_as_asked(temporary: Path, number: signal.Signals) -> None:
    before, asked = signal.getsignal(number), []
    with pytest.raises(KeyboardInterrupt), Ending(), home_of_visitors():
        signal.raise_signal(number)
    assert list(temporary.iterdir()) == []
    with Ending() as ending:
        ending.stop = lambda: asked.append(number)
        signal.raise_signal(number)
    assert asked == [number]
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    try:
        with Ending():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
