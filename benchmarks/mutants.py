"""Mutants: every record that a run leaves, damaged by a seed, and read back by what reads it.

    python benchmarks/mutants.py [--tries 300] [--seed 0] [--only journal-maps model ...]

Each try copies a sound folder, damages one file in it (bits flipped, cut off, doubled, types
swapped, numbers huge or negative, nested, keys missing or renamed, names that lead out of the
folder, links in place of files) and reads it in a child process under limits of 5 s more than the
sound one takes, and 1 GiB more. One plain line of error is right, and so is the output of the sound
folder. Everything else is a fault: a traceback, a hang, more memory, a file changed outside, an
output that is silently another.

TOML files are written by people and have no checksum, so that another valid value is another
configuration, not a fault: there, `another` counts those.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mutant_subjects as subjects
from mutant_subjects import Subject
from mutations import damage

from fociscope.errors import FociscopeError

MORE_S, MORE_BYTES = 5.0, 2**30
LONGEST_LINE = 2000
FAULTS = ("traceback", "hang", "memory", "harm", "wrong")


@dataclass(frozen=True)
class Ended:
    """How a try has ended."""

    kind: str
    """`right`, `refused`, `another`, or one of `FAULTS`."""
    text: str = ""
    seconds: float = 0.0


def attempt(
    subject: Subject,
    folder: Path,
    expected: str | None,
    most_s: float,
    *,
    is_missing: bool = False,
) -> Ended:
    """Read a folder in a child process; one without a file may be another sound folder."""
    receive, send = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _child(subject, folder, send)
    os.close(send)
    said, is_late = b"", False
    while not is_late:
        left = most_s - (time.monotonic() - began)
        ready, _, _ = select.select([receive], [], [], max(0.0, left))
        if not ready:
            os.kill(child, signal.SIGKILL)
            is_late = True
        elif not (block := os.read(receive, 65536)):
            break
        else:
            said += block
    os.close(receive)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    if is_late:
        return Ended("hang", f"more than {most_s:.1f} s", seconds)
    if not said:
        return Ended("traceback", f"the process ended with status {status}", seconds)
    ended = json.loads(said)
    kind, text = ended["kind"], ended["text"]
    if ended["grown"] > MORE_BYTES:
        return Ended("memory", f"{ended['grown'] / 2**20:.0f} MiB; {kind}: {text}", seconds)
    if kind == "right" and expected is not None and text != expected:
        kind = "another" if subject.is_of_people or is_missing else "wrong"
    return Ended(kind, text, seconds)


def _child(subject: Subject, folder: Path, send: int) -> None:
    """Read, say how it went, and end at once."""
    kind, text = "right", ""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + MORE_BYTES + 2**28
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = subject.read(folder)
    except FociscopeError as error:
        kind, text = "refused", str(error)
        if len(text) > LONGEST_LINE or not text.isprintable():
            kind, text = "traceback", f"no plain line: {text[:200]!r}"
    except MemoryError:
        kind, text = "memory", traceback.format_exc(limit=-3)
    except BaseException:
        kind, text = "traceback", traceback.format_exc(limit=-6)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    os.write(send, json.dumps({"kind": kind, "text": text, "grown": grown}).encode())
    os._exit(0)


def contents(folder: Path) -> str:
    """Return the checksum of all names and files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _outside(place: Path) -> Path:
    """Make a folder beside the one that is read, which nothing may touch."""
    outside = place / "outside"
    outside.mkdir()
    for name in ("frames.csv", "layers.csv", "1.mat", "kernels.tif"):
        (outside / name).write_bytes(name.encode() * 2000)
    return outside


def tried(subject: Subject, tries: int, seed: int, place: Path) -> Iterator[tuple[str, str, Ended]]:
    """Yield the record, the damage and the end of each try."""
    folder = place / "folder"
    shutil.copytree(subject.sound, folder, symlinks=True)
    sound = attempt(subject, folder, None, 600.0)
    if sound.kind != "right":
        raise SystemExit(f"{subject.name}: the sound folder is {sound.kind}: {sound.text}")
    most_s = 3 * sound.seconds + MORE_S
    for number in range(tries):
        rng = random.Random(f"{subject.name} {seed} {number}")
        for old in place.iterdir():
            shutil.rmtree(old)
        outside = _outside(place)
        shutil.copytree(subject.sound, folder, symlinks=True)
        record = rng.choice(subject.records)
        how = damage(rng, folder / record, outside)
        before = contents(outside)
        read = partial(attempt, subject, folder, sound.text, is_missing=how == "missing")
        ended = read(most_s)
        if ended.kind == "hang":  # perhaps the machine was busy
            ended = read(2 * most_s)
        if contents(outside) != before:
            ended = Ended("harm", f"changed a file outside; {ended.kind}: {ended.text}")
        yield record, how, ended


def main() -> None:
    """Try all subjects; print a row for each, and what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=())
    asked = parser.parse_args()
    print("| read by | tries | refused | right | another | faults |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as top:
        subjects.warm()
        for make in subjects.SUBJECTS:
            if asked.only and make.__name__.replace("_", "-") not in asked.only:
                continue
            subject = make(Path(tempfile.mkdtemp(dir=top)))
            counts: Counter[str] = Counter()
            faults = []
            place = Path(tempfile.mkdtemp(dir=top))
            for number, tried_one in enumerate(tried(subject, asked.tries, asked.seed, place)):
                record, how, ended = tried_one
                counts[ended.kind] += 1
                if ended.kind in FAULTS:
                    faults.append((number, record, how, ended))
            bad = ", ".join(f"{counts[kind]} {kind}" for kind in FAULTS if counts[kind])
            columns = (f"{subject.name}: {subject.verb}", asked.tries, counts["refused"],
                       counts["right"], counts["another"], bad or 0)  # fmt: skip
            print("| " + " | ".join(map(str, columns)) + " |", flush=True)
            for number, record, how, ended in faults:
                text = ended.text.strip()
                print(f"  try {number}, {record}, {how}: {ended.kind}: {text}", file=sys.stderr)
            sys.stderr.flush()


if __name__ == "__main__":
    main()
