"""The app under people: how it ends, what visits leave, and whether visitors hold up each other.

    python benchmarks/visitors.py            # all; or some of: ends loads idle jobs

Each line says what was tried, how often, and how often it failed. Needs `pip install '.[app]'`, and
for `idle` and `jobs` playwright and Debian's chromium. Linux only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from app_page import COMMAND, FLAGS

#: Time after which a page that never opened its socket is let go, s.
PRUNED_S = 80.0
MOST_GROWTH_MIB, MOST_IDLE_CPU, MOST_MAP_S = 20.0, 0.02, 2.0


class App:
    """A running app with temporary files in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", COMMAND, "app", "--no-browser", "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip
        assert self.process.stdout is not None
        lines = (re.search(r"http://[\d.:]+", line) for line in self.process.stdout)
        self.address = next(filter(None, lines))[0]

    def left(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def put(self) -> None:
        """Leave files as visits do, which take a browser and more time."""
        (home,) = self.folder.glob("fociscope-app-*")
        (home / "visit-1" / "drop-1").mkdir(parents=True)
        (home / "visit-1" / "drop-1" / "a.tif").write_bytes(bytes(1000))


@contextmanager
def running(*options: str) -> Iterator[App]:
    with tempfile.TemporaryDirectory() as folder:
        app = App(Path(folder), *options)
        try:
            yield app
        finally:
            app.process.kill()
            app.process.wait()


def say(what: str, tries: int, faults: int, more: str = "") -> None:
    print(f"| {what} | {tries} | {faults} | {more} |", flush=True)


def ends(tries: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        faults, seconds = 0, []
        for _ in range(tries):
            with running() as app:
                app.put()
                start = time.monotonic()
                app.process.send_signal(number)
                app.process.wait()
                seconds.append(time.monotonic() - start)
                if number == signal.SIGKILL:  # the next one sweeps
                    again = App(app.folder)
                    faults += bool(app.left())
                    again.process.kill()
                    again.process.wait()
                else:
                    faults += bool(app.left())
        more = "the next start sweeps" if number == signal.SIGKILL else f"{max(seconds):.1f} s"
        say(f"ended by {number.name}: files of visitors that are left", tries, faults, more)


def load(address: str, count: int) -> None:
    for _ in range(count):
        urllib.request.urlopen(address).read()


def loads(count: int) -> None:
    with running() as app:
        load(app.address, 20)
        time.sleep(PRUNED_S)
        before = app.memory_mib()
        load(app.address, count)
        time.sleep(PRUNED_S)
        grown = app.memory_mib() - before
        say(f"page loads within {MOST_GROWTH_MIB:.0f} MiB", count, int(grown > MOST_GROWTH_MIB),
            f"{grown:+.1f} MiB, of {before:.0f}")  # fmt: skip


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium
        opened = chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield opened
        opened.close()


def visit(opened: Any, address: str) -> Any:
    page = opened.new_context(viewport={"width": 900, "height": 600}).new_page()
    page.set_default_timeout(180_000)
    page.goto(address)
    page.wait_for_selector("[data-result]")
    return page


def idle(seconds: float) -> None:
    with running() as app, browser() as opened:
        visit(opened, app.address)
        time.sleep(10)
        before = app.cpu_s()
        time.sleep(seconds)
        share = (app.cpu_s() - before) / seconds
        say(f"an open page that nobody touches, for {seconds:.0f} s: below "
            f"{100 * MOST_IDLE_CPU:.0f} % of a core", 1, int(share > MOST_IDLE_CPU),
            f"{100 * share:.2f} %")  # fmt: skip


def jobs(frames: int, tries: int) -> None:
    """Two visitors ask for archives of long series; a third opens the page and moves a slider."""
    series = np.random.default_rng(0).uniform(1, 2, (frames, 2, 51, 51)).astype(np.float32)
    with running() as app, browser() as opened:
        path = app.folder / "series.npy"
        np.save(path, series)
        for _ in range(2):
            page = visit(opened, app.address)
            number = page.locator("[data-result]").get_attribute("data-result")
            page.locator(".q-uploader input[type=file]").first.set_input_files(path)
            page.wait_for_function(
                "n => document.querySelector('[data-result]')?.dataset.result != n", arg=number
            )
            page.get_by_role("tab", name="Take away", exact=True).click()
            page.get_by_role("button", name="Archive (ZIP)").click()
        time.sleep(2)
        third = visit(opened, app.address)
        third.get_by_role("tab", name="Simulate", exact=True).click()
        seconds = []
        for _ in range(tries):
            wait = "n => document.querySelector('[data-result]')?.dataset.result != n"
            number = third.locator("[data-result]").get_attribute("data-result")
            start = time.monotonic()
            third.get_by_role("button", name="Another specimen").click()
            third.wait_for_function(wait, arg=number)
            seconds.append(time.monotonic() - start)
        late = sum(one > MOST_MAP_S for one in seconds)
        say(f"maps of a third visitor beside two archives of {frames} captures: later than "
            f"{MOST_MAP_S:.0f} s", tries, late, f"at most {max(seconds):.2f} s")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["ends", "loads", "idle", "jobs"])
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--loads", type=int, default=200)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    print("| tried | tries | faults | |\n|---|---|---|---|")
    every = {
        "ends": lambda: ends(chosen.tries),
        "loads": lambda: loads(chosen.loads),
        "idle": lambda: idle(chosen.seconds),
        "jobs": lambda: jobs(chosen.frames, chosen.tries),
    }
    for part in chosen.parts:
        every[part]()


if __name__ == "__main__":
    main()
