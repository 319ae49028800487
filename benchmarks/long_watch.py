"""A long watch: captures that are replaced, rewritten, late, removed; what is said, and memory.

    python benchmarks/long_watch.py                        # 10 minutes at 30 pairs/s
    python benchmarks/long_watch.py --minutes 30 --rate 30
    python benchmarks/long_watch.py --stack --minutes 2    # a growing stack that others replace

A process writes pairs into a folder, some of them as instruments and people should not; `fociscope
reconstruct --watch --json` follows it. In the end, each capture must be in `frames.csv` once or be
said, and nothing else be said. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile

import fociscope

MOST_GROWTH_MIB = 20.0
#: Memory is that of the process from so long after its start on, s.
WARM_S = 60.0
#: Longer than the watch takes to compare all files that are done.
QUIET_S = 20.0
#: What happens to how many of 1000 captures.
ODD = {
    "replaced at once": 5,
    "replaced after it was done": 5,
    "rewritten in place": 5,
    "touched": 5,
    "removed before its partner came": 5,
    "renamed when whole": 10,
    "pixels late by 2 s": 5,
    "half of the pixels late by 2 s": 5,
    "half of the pixels late by 8 s": 5,
    "removed when done": 200,
}


@dataclass
class Instrument:
    """Writes pairs of images, and does odd things to some."""

    folder: Path
    captures: np.ndarray
    rng: random.Random
    planned: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    odd: dict[str, str] = field(default_factory=dict)
    """Name of sensor A's file -> what happened to it."""
    changed_s: dict[str, float] = field(default_factory=dict)
    """Name -> when its content was replaced by another one, s since 1970."""

    def one(self, number: int) -> None:
        """Write a pair, and plan what is to become of it."""
        kind = self.rng.choices([*ODD, ""], [*ODD.values(), 1000 - sum(ODD.values())])[0]
        a, b = (self.folder / f"{number:06d}_{side}.tif" for side in "AB")
        one, other = self.captures[number % len(self.captures)] * (1 + number % 1000)
        if kind:
            self.odd[a.name] = kind
        if kind == "removed before its partner came":
            self.write(a, one)
            self.later(1.0, a.unlink)
            return
        if kind == "renamed when whole":
            part = a.with_name(f"part of {a.name}")
            self.write(part, one)
            self.later(0.5, lambda: part.rename(a))
        elif kind.startswith(("pixels", "half")):
            begun = np.zeros_like(one)
            if kind.startswith("half"):
                begun[: len(one) // 2] = one[: len(one) // 2]
            self.write(a, begun)
            self.later(8.0 if "8 s" in kind else 2.0, lambda: self.changed(a, self.fill, one))
        else:
            self.write(a, one)
        self.write(b, other)
        anew = one[::-1].copy()
        if kind == "replaced at once":
            self.later(1.0, lambda: self.changed(a, self.replace, anew))
        elif kind == "replaced after it was done":
            self.later(9.0, lambda: self.changed(a, self.replace, anew))
        elif kind == "rewritten in place":
            self.later(self.rng.choice((1.5, 9.0)), lambda: self.changed(a, self.write, anew))
        elif kind == "touched":
            self.later(self.rng.choice((1.5, 9.0)), a.touch)
        elif kind == "removed when done":
            self.later(12.0, lambda: [path.unlink() for path in (a, b)])

    def changed(
        self, path: Path, how: Callable[[Path, np.ndarray], None], image: np.ndarray
    ) -> None:
        self.changed_s[path.name] = time.time()
        how(path, image)

    def write_first(self, watch: Watch) -> None:
        """Write the first pair, and wait for its map: what went before no watch can know."""
        for side, image in zip("AB", self.captures[0], strict=True):
            self.write(self.folder / f"{0:06d}_{side}.tif", image)
        while not watch.latency_s and watch.process.poll() is None:
            time.sleep(0.1)

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        self.planned.append((time.monotonic() + after_s, what))

    def do_planned(self, *, until_s: float | None = None) -> None:
        """Do what is due; all of it, if until is said."""
        while self.planned and until_s is not None and time.monotonic() < until_s:
            self.do_planned()
            time.sleep(0.05)
        now = time.monotonic()
        due = [one for one in self.planned if one[0] <= now]
        self.planned = [one for one in self.planned if one[0] > now]
        for _, what in due:
            what()

    @staticmethod
    def write(path: Path, image: np.ndarray) -> None:
        tifffile.imwrite(path, image, photometric="minisblack")

    def replace(self, path: Path, image: np.ndarray) -> None:
        new = path.with_name(f".{path.name}.new")
        tifffile.imwrite(new, image, photometric="minisblack")
        new.replace(path)

    @staticmethod
    def fill(path: Path, image: np.ndarray) -> None:
        pixels = tifffile.memmap(path)
        pixels[:] = image
        pixels.flush()


class Watch:
    """`fociscope reconstruct --watch --json` as a process, what it says, and its memory."""

    def __init__(self, path: Path, output: Path) -> None:
        words = [
            "reconstruct",
            "--watch",
            str(path),
            "-o",
            str(output),
            "--json",
            "--format",
            "csv",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from fociscope.cli import main; main()", *words,
             "--model", "layers-ab", "--device", "cpu"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.left_out: list[dict[str, str]] = []
        self.latency_s: list[float] = []
        self.arrived_s: dict[str, float] = {}
        """Name of a capture -> when its last change was seen, s since 1970."""
        self.heard_s = time.monotonic()
        self.complaints: list[str] = []
        self.memory_mib: list[tuple[float, float]] = []
        self._threads = [threading.Thread(target=run) for run in (self._hear, self._complaints)]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        for line in self.process.stdout or ():
            said = json.loads(line)
            if said["event"] == "left_out":
                self.left_out.append(said)
            elif said["event"] == "frame":
                self.latency_s.append(said["latency_s"])
                self.arrived_s[said["name"]] = said["arrived_s"]
                self.heard_s = time.monotonic()

    def _complaints(self) -> None:
        self.complaints += [line.strip() for line in self.process.stderr or ()]

    def note_memory(self, at_s: float) -> None:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                self.memory_mib.append((at_s, int(line.split()[1]) / 1024))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_until_quiet(self) -> None:
        """Wait until no capture has come for some time."""
        while time.monotonic() - self.heard_s < QUIET_S:
            time.sleep(0.5)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        for thread in self._threads:
            thread.join()
        return self.process.wait()


def ran(watch: Watch, minutes: float, rate: float, step: Callable[[int], None]) -> int:
    """Call a step so many times a second; return how often."""
    began, number = time.monotonic(), 0
    while (at_s := time.monotonic() - began) < 60 * minutes:
        while number < at_s * rate:
            number += 1
            step(number)
        if not watch.memory_mib or at_s - watch.memory_mib[-1][0] > 5:
            watch.note_memory(at_s)
        time.sleep(0.005)
    return number


def names_of(output: Path) -> Counter[str]:
    with (output / "frames.csv").open(encoding="utf-8", newline="") as stream:
        return Counter(row["name"] for row in csv.DictReader(stream))


def say_memory(watch: Watch) -> None:
    warm = [mib for at_s, mib in watch.memory_mib if at_s >= min(WARM_S, watch.memory_mib[-1][0])]
    print(f"memory: {warm[0]:.0f} MiB, in the end {warm[-1]:.0f}, at most {max(warm):.0f}: "
          f"{'flat' if max(warm) - warm[0] <= MOST_GROWTH_MIB else 'GROWS'} within "
          f"{MOST_GROWTH_MIB:.0f} MiB")  # fmt: skip
    some = watch.memory_mib[:: max(1, len(watch.memory_mib) // 12)]
    print("memory over time: " + ", ".join(f"{at_s:.0f} s {mib:.0f}" for at_s, mib in some))
    latency = np.percentile(watch.latency_s, [50, 99, 100])
    print("latency: " + ", ".join(f"{one:.2f} s" for one in latency) + " (half, 99 %, all)")


def of_folder(place: Path, minutes: float, rate: float, seed: int) -> None:
    """Watch a folder, and hold what was said against what was done."""
    folder, output = place / "in", place / "out"
    folder.mkdir()
    captures = np.asarray(fociscope.simulate(8, seed=seed).captures, np.float32)
    instrument = Instrument(folder, captures, random.Random(seed))
    watch = Watch(folder, output)

    def step(number: int) -> None:
        instrument.do_planned()
        instrument.one(number)

    instrument.write_first(watch)
    count = ran(watch, minutes, rate, step)
    instrument.do_planned(until_s=time.monotonic() + 30)
    watch.wait_until_quiet()
    watch.note_memory(60 * minutes)
    spent_s = watch.cpu_s()
    code = watch.end()
    taken = names_of(output)
    said = {one["name"].split("_")[0].removeprefix("part of ") for one in watch.left_out}
    written = {f"{n:06d}_A.tif" for n in range(count + 1)}
    late = {n for n, at in instrument.changed_s.items() if watch.arrived_s.get(n, at) < at}
    lost = late | (written - taken.keys())
    print(f"{count} pairs, {len(taken)} reconstructed, exit {code}, "
          f"{sum(n > 1 for n in taken.values())} doubled; "
          f"{1000 * spent_s / len(taken):.1f} ms of a core for each")  # fmt: skip
    print("| what was done | captures | reconstructed | lost, or a version of them | said "
          "| lost unsaid | said for nothing |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for kind in [*ODD, ""]:
        names = {name for name in written if instrument.odd.get(name, "") == kind}
        told = {name for name in names if name.split("_")[0] in said}
        counts = [names, names & taken.keys(), names & lost, told, (names & lost) - told,
                  told - lost]  # fmt: skip
        print(f"| {kind or 'nothing'} | " + " | ".join(str(len(one)) for one in counts) + " |")
    say_memory(watch)


def of_stack(place: Path, minutes: float, rate: float, seed: int) -> None:
    """Watch a stack that grows to 100 pairs, and is replaced by the next one."""
    path, output, each = place / "live.tif", place / "out", 100
    captures = np.asarray(fociscope.simulate(8, seed=seed).captures, np.float32)
    watch = Watch(path, output)

    def step(number: int) -> None:
        new = path.with_name(".new.tif")
        is_first = (number - 1) % each == 0
        target = new if is_first else path
        for image in captures[number % 8] * number:
            tifffile.imwrite(target, image, append=True, contiguous=False, metadata=None)
        if is_first:
            time.sleep(0.2)  # the stack before is closed
            new.replace(path)

    count = ran(watch, minutes, rate, step)
    time.sleep(3)
    watch.note_memory(60 * minutes)
    code = watch.end()
    taken = names_of(output)
    print(
        f"{count} pairs in {-(-count // each)} stacks, {sum(taken.values())} reconstructed, "
        f"exit {code}, {sum(n > 1 for n in taken.values())} doubled, "
        f"{len(watch.left_out)} left out, "
        f"{sum('another stack' in line for line in watch.complaints)} new stacks said"
    )
    say_memory(watch)


def main() -> None:
    """Watch, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stack", action="store_true", help="a growing stack, not a folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = of_stack if asked.stack else of_folder
        run(Path(place), asked.minutes, asked.rate, asked.seed)


if __name__ == "__main__":
    main()
