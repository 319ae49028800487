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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mutant_subjects as subjects
import tomli_w
from mutant_subjects import Subject

from fociscope.errors import FociscopeError

MORE_S, MORE_BYTES = 5.0, 2**30
LONGEST_LINE = 2000
FAULTS = ("traceback", "hang", "memory", "harm", "wrong")

Json = Any
Mutation = Callable[[random.Random, bytes], bytes]


# ---- bytes


def flipped(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def doubled(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice((1, 7, 64, 4096)))
    return content[:end] + content[start:]


def dropped(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 3, 17, 300)) :]


def filled(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    length = rng.choice((1, 4, 32, 512))
    junk = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return content[:start] + junk + content[start + length :]


def emptied(rng: random.Random, content: bytes) -> bytes:
    return rng.choice((b"", b"\n", b"null", b"[]", b"{}", b"\x00" * len(content)))


OF_BYTES: tuple[Mutation, ...] = (flipped, flipped, cut, doubled, dropped, filled, emptied)


# ---- JSON, and TOML


def places(value: Json, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value below the first."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, below in items:
        yield (*here, key)
        yield from places(below, (*here, key))


def _at(value: Json, way: tuple[Any, ...]) -> Json:
    for key in way:
        value = value[key]
    return value


NAMES = ("../outside/frames.csv", "../outside", "/etc/hostname", "..", "", ".", "a\x1b[31mb",
         "x" * 5000, "frames.csv", "a\nb", "\ud800", "C:\\x", "-1", "nan", "1e999")  # fmt: skip
NUMBERS = (-1, 0, 1, 2, 2**31, 2**63, 2**64, 10**30, -(2**63), 1e308, -1e-300, 0.5, 3.0,
           float("nan"), float("inf"), 10**400)  # fmt: skip
OTHERS: tuple[Json, ...] = (None, True, False, [], {}, [[]], {"": {}}, [None], "text", 7, -3.5)


def other_value(rng: random.Random, found: Json) -> Json:
    """Return a value of the same kind, or of another."""
    if isinstance(found, bool) and rng.random() < 0.5:
        return not found
    if isinstance(found, int | float) and rng.random() < 0.6:
        return rng.choice((*NUMBERS, found + 1, -found, found * 10, str(found)))
    if isinstance(found, str) and rng.random() < 0.6:
        return rng.choice((*NAMES, found + "x", found[:-1], found.upper()))
    if isinstance(found, list) and found and rng.random() < 0.6:
        return rng.choice((found[:-1], found + found[-1:], found[::-1], found * 50, found[0]))
    return rng.choice(OTHERS)


def edited(rng: random.Random, value: Json) -> Json:
    """Return a JSON value with one thing in it changed."""
    ways = list(places(value))
    if not ways:
        return rng.choice(OTHERS)
    way = rng.choice(ways)
    above, key = _at(value, way[:-1]), way[-1]
    kind = rng.choice(("value", "value", "value", "missing", "renamed", "added", "nested"))
    if kind == "missing":
        del above[key]
    elif kind == "nested":
        for _ in range(rng.choice((1, 5, 200))):
            above[key] = [above[key]] if rng.random() < 0.5 else {"x": above[key]}
    elif kind == "renamed" and isinstance(above, dict):
        above[rng.choice((*NAMES, f"{key}_", str(key).upper()))] = above.pop(key)
    elif kind == "added" and isinstance(above, dict):
        above[rng.choice((*NAMES, "further"))] = rng.choice((*OTHERS, above[key]))
    else:
        above[key] = other_value(rng, above[key])
    return value


def of_json(rng: random.Random, content: bytes) -> bytes:
    special = rng.random()
    if special < 0.03:
        return b"[" * 100_000
    if special < 0.05:
        return content.rstrip().rstrip(b"}") + b', "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    if special < 0.06:
        return b'{"a": [' + b"{}," * 4_000_000 + b"{}]}"
    return json.dumps(edited(rng, json.loads(content)), indent=1).encode()


def of_toml(rng: random.Random, content: bytes) -> bytes:
    import tomllib

    try:
        return tomli_w.dumps(edited(rng, tomllib.loads(content.decode()))).encode()
    except (TypeError, ValueError, AttributeError):  # what TOML cannot say, such as null
        return flipped(rng, content)


def of_safetensors(rng: random.Random, content: bytes) -> bytes:
    """Change the header, of which the description of a model is a text of JSON in JSON."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    inner = [key for key in header["__metadata__"] if header["__metadata__"][key][:1] == "{"]
    if inner and rng.random() < 0.6:
        key = rng.choice(inner)
        text = json.dumps(edited(rng, json.loads(header["__metadata__"][key])))
        header["__metadata__"][key] = text
    else:
        header = edited(rng, header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[start:]


def of_csv(rng: random.Random, content: bytes) -> bytes:
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = rng.choice(rows)
    kind = rng.randrange(8)
    if kind == 0:
        rows.insert(rng.randrange(len(rows) + 1), list(row))
    elif kind == 1:
        rows.remove(row)
    elif kind == 2:
        column = rng.randrange(len(rows[0]))
        rows = [[cell for n, cell in enumerate(one) if n != column] for one in rows]
    elif kind == 3:
        row[rng.randrange(len(row))] = "9" * 200_000
    else:
        cell = rng.randrange(len(row))
        row[cell] = rng.choice(("", "-1", "nan", "inf", "1e400", "9" * 5000, "x", '"', "\x00",
                                "=1+1", row[cell] + "1", "7"))  # fmt: skip
    return "\n".join(",".join(row) for row in rows).encode() + b"\n"


OF_TEXT: dict[str, Mutation] = {
    ".json": of_json,
    ".toml": of_toml,
    ".csv": of_csv,
    ".safetensors": of_safetensors,
    ".ckpt": of_safetensors,
}


def damage(rng: random.Random, path: Path, outside: Path) -> str:
    """Damage a file; return how."""
    special = rng.random()
    if special < 0.02:
        target = outside / "copy-of-record"
        shutil.copy(path, target)
        path.unlink()
        path.symlink_to(target)
        return "link"
    if special < 0.03:
        path.unlink()
        path.symlink_to(path.name)
        return "link to itself"
    if special < 0.04:
        path.unlink()
        return "missing"
    if special < 0.05:
        path.unlink()
        os.mkfifo(path)
        return "pipe"
    if special < 0.06:
        path.unlink()
        path.mkdir()
        return "folder"
    text = OF_TEXT.get(path.suffix)
    content = path.read_bytes()
    way = text if text is not None and rng.random() < 0.65 else rng.choice(OF_BYTES)
    try:
        path.write_bytes(way(rng, content))
    except (ValueError, KeyError, IndexError, TypeError):
        way = flipped
        path.write_bytes(way(rng, content))
    return way.__name__


# ---- tries


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
