"""The folder of an app that runs: visitors' files lie in it, and it goes with the app.

What an app has left that was killed, or whose machine stopped, is removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from fociscope.files.safe.locks import is_abandoned, writing

__all__ = ["Ending", "home_of_visitors", "sweep"]

PREFIX = "fociscope-app-"
#: Signals that end the app as Ctrl-C does: of a service manager, and of a terminal that is closed.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def home_of_visitors() -> Iterator[Path]:
    """Make a folder for visitors' files and all that is temporary, and remove it in the end."""
    sweep(Path(tempfile.gettempdir()))
    # Under another name until it is locked, so that no app that starts meanwhile sweeps it.
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    home, before = made.with_name(made.name[1:]), tempfile.tempdir
    try:
        with writing(made):
            made.rename(home)
            tempfile.tempdir = str(home)  # large uploads are temporary files of the web server
            yield home
    finally:
        tempfile.tempdir = before
        for place in (made, home):
            shutil.rmtree(place, ignore_errors=True)


def sweep(folder: Path) -> list[Path]:
    """Remove the folders that apps of this user have left, which do not run any more.

    Args:
        folder: Folder of temporary files.

    Returns:
        What was removed.
    """
    if sys.platform == "win32":  # no locks that tell who runs
        return []
    mine = os.getuid()
    left = [
        entry
        for entry in folder.glob(f"{PREFIX}*")
        if not entry.is_symlink()
        and entry.is_dir()
        and entry.stat().st_uid == mine
        and is_abandoned(entry)
    ]
    for entry in left:
        shutil.rmtree(entry, ignore_errors=True)
    return left


class Ending:
    """Signals that end the app: before it serves like Ctrl-C, and then by what it is asked to."""

    def __init__(self) -> None:
        """Begin without anything to end."""
        self.stop: Callable[[], None] | None = None
        self._before: dict[int, object] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        if self.stop is None:
            raise KeyboardInterrupt
        self.stop()

    def __enter__(self) -> Ending:
        """Answer the signals from now on."""
        if threading.current_thread() is threading.main_thread():
            answered = (n for n in ENDING if signal.getsignal(n) is not signal.SIG_IGN)  # nohup
            self._before = {number: signal.signal(number, self) for number in answered}
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
