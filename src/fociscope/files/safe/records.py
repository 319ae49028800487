"""Records: JSON files with a format, a version, a bounded size and a checksum of themselves.

A record is input like any other when it is read back, such as `dataset.json` or the journal of a
series: its size, its number of values and its checksum are checked before its values are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fociscope.configuration import NO_FILES, plain_errors
from fociscope.errors import FileFormatError, FociscopeError, one_line, printable
from fociscope.files.safe.atomic import atomic_path

__all__ = [
    "CHECKSUM",
    "LARGEST_RECORD_BYTES",
    "read_record",
    "read_typed_record",
    "write_record",
]

#: Key of a record's own checksum: the SHA-256 of its other entries as JSON, sorted by their keys
#: and without spaces.
CHECKSUM = "record_sha256"
#: An imager's measured kernels, which a summary repeats, take most of the largest ones.
LARGEST_RECORD_BYTES = 128 * 2**20
#: Lists and objects in a record, and values, about as many as it has commas.
MOST_CONTAINERS, MOST_VALUES = 1_000_000, 10_000_000
#: Characters of a reason in a message; a record with many damaged values has a longer one.
LONGEST_REASON = 300

Record = TypeVar("Record", bound=BaseModel)


def read_record(
    path: Path,
    what: str,
    *,
    format: str | None = None,
    version: int | None = None,
    most_bytes: int = LARGEST_RECORD_BYTES,
    advice: str = "write it again",
    error: type[FociscopeError] = FileFormatError,
    fields: tuple[str, ...] = (),
    needs_checksum: bool = False,
) -> dict[str, Any]:
    """Read a JSON object from a file, and check its size, checksum, format and version.

    Args:
        path: File to read.
        what: What it should be, for messages, such as "the description of a data set".
        format: Value that the key `format` must have; None for records without it.
        version: Value that the key `format_version` must have; None for records without it.
        most_bytes: Size above which the file is refused unread, in bytes.
        advice: What the user should do about a damaged file.
        error: Type of the error to raise.
        fields: Arguments of the caller that would mend it, such as ("overwrite",).
        needs_checksum: Whether a record without a checksum is refused; those that an earlier
            version has written have none.

    Returns:
        The object as a dictionary, without its checksum.

    Raises:
        FociscopeError: If the file is missing, too large or no JSON object, if its checksum does
            not hold, or if it is of another format or version; of the type `error`.
    """

    def damaged(why: str) -> FociscopeError:
        return _damaged(path, what, why, advice, error, fields)

    try:
        content = _bounded(path, most_bytes)
        values = json.loads(content)
        stated, wanted = _checksums(values)
    except FileNotFoundError:
        raise error(
            f"{printable(path)}: there is no such file, expected {what}; check the path, or "
            f"{advice}.",
            fields=fields,
        ) from None
    except _UnboundedError as reason:
        raise damaged(str(reason)) from None
    except (OSError, ValueError, RecursionError) as reason:
        raise damaged(f"no JSON: {one_line(reason, 80)}") from None
    if not isinstance(values, dict):
        raise damaged("no JSON object")
    if format is not None and values.get("format") != format:
        raise damaged(f"its format is {values.get('format')!r:.40}")
    if version is not None and values.get("format_version") != version:
        raise error(
            f"{printable(path)}: its format is version {values.get('format_version')!r:.20}, this "
            f"Fociscope reads version {version}; update Fociscope, or {advice}.",
            fields=fields,
            value=values.get("format_version"),
        )
    if stated is None and needs_checksum:
        raise damaged("it has no checksum")
    if stated != wanted:
        raise damaged("its checksum does not hold")
    return values


def read_typed_record(
    path: Path,
    kind: type[Record],
    what: str,
    *,
    format: str | None = None,
    version: int | None = None,
    most_bytes: int = LARGEST_RECORD_BYTES,
    advice: str = "write it again",
    error: type[FociscopeError] = FileFormatError,
    fields: tuple[str, ...] = (),
    needs_checksum: bool = False,
) -> Record:
    """Read a JSON object as `read_record` does, and check its values against a pydantic model.

    Args:
        path: As for `read_record`, like all others but `kind`.
        kind: Model of the record.
        what: See `path`.
        format: See `path`.
        version: See `path`.
        most_bytes: See `path`.
        advice: See `path`.
        error: See `path`.
        fields: See `path`.
        needs_checksum: See `path`.

    Returns:
        The record.

    Raises:
        FociscopeError: As for `read_record`, or if a value is missing or out of its bounds.
    """
    values = read_record(
        path, what, format=format, version=version, most_bytes=most_bytes, advice=advice,
        error=error, fields=fields, needs_checksum=needs_checksum,
    )  # fmt: skip
    try:
        return kind.model_validate(values, context=NO_FILES)
    except ValidationError as reason:
        why = plain_errors(reason)
        if len(why) > LONGEST_REASON:
            why = f"{why[: LONGEST_REASON - 3]}..."
        raise _damaged(path, what, why, advice, error, fields) from None


def write_record(
    path: Path, values: Mapping[str, Any], *, overwrite: bool = False, indent: int = 1
) -> None:
    """Write a JSON object and its checksum, complete or not at all; equal values, equal bytes.

    Args:
        path: File to write.
        values: Object to write; its values are plain JSON types, its numbers finite.
        overwrite: Whether a file that exists may be replaced.
        indent: Spaces of indentation for each level.

    Raises:
        OutputExistsError: If the file exists and `overwrite` is not set.
        FociscopeError: If the disk refuses (permission, full, read-only).
    """
    plain = json.loads(json.dumps(values, allow_nan=False))
    plain.pop(CHECKSUM, None)
    with atomic_path(path, overwrite=overwrite) as part:
        text = json.dumps({**plain, CHECKSUM: _sha256(plain)}, indent=indent)
        part.write_text(text + "\n", encoding="utf-8")


class _UnboundedError(ValueError):
    """A file that is not even parsed."""


def _bounded(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file, of which no more than is bounded has been read.

    Raises:
        _UnboundedError: It is no file, or too large.
    """
    if not path.is_file():
        path.stat()  # a missing file is an error of its own
        raise _UnboundedError("not a regular file")
    with path.open("rb") as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise _UnboundedError(f"too large: more than {most_bytes} bytes")
    values, containers = content.count(b","), content.count(b"[") + content.count(b"{")
    if values > MOST_VALUES or containers > MOST_CONTAINERS:
        raise _UnboundedError(
            f"too large: {values} values in {containers} lists and objects, expected at most "
            f"{MOST_VALUES} in {MOST_CONTAINERS}"
        )
    return content


def _checksums(values: Any) -> tuple[Any, str | None]:
    """Take the checksum out of a record; return it and what it should be; None for none."""
    if not isinstance(values, dict) or CHECKSUM not in values:
        return None, None
    stated = values.pop(CHECKSUM)
    return "" if stated is None else stated, _sha256(values)


def _sha256(values: dict[str, Any]) -> str:
    """Return the checksum of a record; see `CHECKSUM`."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _damaged(
    path: Path,
    what: str,
    why: str,
    advice: str,
    error: type[FociscopeError],
    fields: tuple[str, ...],
) -> FociscopeError:
    return error(f"{printable(path)}: damaged: not {what} ({why}); {advice}.", fields=fields)
