"""Damage to files by a seed: to their bytes, and to what JSON, TOML, CSV and safetensors say."""

from __future__ import annotations

import json
import os
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomli_w

__all__ = ["damage", "mutated"]

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
    content, how = mutated(rng, path.suffix, path.read_bytes())
    path.write_bytes(content)
    return how


def mutated(rng: random.Random, suffix: str, content: bytes) -> tuple[bytes, str]:
    """Return the content of a file of some suffix damaged, and how."""
    text = OF_TEXT.get(suffix)
    way = text if text is not None and rng.random() < 0.65 else rng.choice(OF_BYTES)
    try:
        return way(rng, content), way.__name__
    except (ValueError, KeyError, IndexError, TypeError):  # what its format cannot say
        return flipped(rng, content), "flipped"
