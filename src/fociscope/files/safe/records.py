"""Records: JSON files with a format, a version and a bounded size, such as `dataset.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fociscope.configuration import plain_errors
from fociscope.errors import FileFormatError, FociscopeError, one_line, printable
from fociscope.files.safe.atomic import atomic_path

__all__ = ["LARGEST_RECORD_BYTES", "read_record", "read_typed_record", "write_record"]

LARGEST_RECORD_BYTES = 64 * 2**20
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
) -> dict[str, Any]:
    """Read a JSON object from a file, and check its size, format and version.

    Args:
        path: File to read.
        what: What it should be, for messages, such as "the description of a data set".
        format: Value that the key `format` must have; None for records without it.
        version: Value that the key `format_version` must have; None for records without it.
        most_bytes: Size above which the file is refused unread, in bytes.
        advice: What the user should do about a damaged file.
        error: Type of the error to raise.
        fields: Arguments of the caller that would mend it, such as ("overwrite",).

    Returns:
        The object as a dictionary.

    Raises:
        FociscopeError: If the file is missing, too large or no JSON object, or of another format or
            version; of the type `error`.
    """

    def damaged(why: str) -> FociscopeError:
        return _damaged(path, what, why, advice, error, fields)

    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise damaged(f"too large: {size} bytes")
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise error(
            f"{printable(path)}: there is no such file, expected {what}; check the path, or "
            f"{advice}.",
            fields=fields,
        ) from None
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

    Returns:
        The record.

    Raises:
        FociscopeError: As for `read_record`, or if a value is missing or out of its bounds.
    """
    values = read_record(
        path, what, format=format, version=version, most_bytes=most_bytes, advice=advice,
        error=error, fields=fields,
    )  # fmt: skip
    try:
        return kind.model_validate(values)
    except ValidationError as reason:
        why = plain_errors(reason)
        if len(why) > LONGEST_REASON:
            why = f"{why[: LONGEST_REASON - 3]}..."
        raise _damaged(path, what, why, advice, error, fields) from None


def write_record(
    path: Path, values: dict[str, Any], *, overwrite: bool = False, indent: int = 1
) -> None:
    """Write a JSON object, complete or not at all; equal values give equal bytes.

    Args:
        path: File to write.
        values: Object to write; its values are plain JSON types.
        overwrite: Whether a file that exists may be replaced.
        indent: Spaces of indentation for each level.

    Raises:
        OutputExistsError: If the file exists and `overwrite` is not set.
        FociscopeError: If the disk refuses (permission, full, read-only).
    """
    with atomic_path(path, overwrite=overwrite) as part:
        part.write_text(json.dumps(values, indent=indent) + "\n", encoding="utf-8")


def _damaged(
    path: Path,
    what: str,
    why: str,
    advice: str,
    error: type[FociscopeError],
    fields: tuple[str, ...],
) -> FociscopeError:
    return error(f"{printable(path)}: damaged: not {what} ({why}); {advice}.", fields=fields)
