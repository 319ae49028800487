"""An imager's file to begin with: every field with its value and a comment."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import tomli_w

from fociscope.configuration import Configuration, field_comments
from fociscope.imager._description import described
from fociscope.imager.geometry import Imager

__all__ = ["write_commented_imager"]

#: Columns of a comment.
WIDTH = 96
HEAD = (
    "# An imager of Fociscope. A field that is left out keeps the reference imager's value; "
    "docs/imager.md explains all of them."
)


def write_commented_imager(imager: Imager, path: Path | str, *, overwrite: bool = False) -> None:
    """Write an imager to a TOML file in which each field has a comment.

    Args:
        imager: Imager to describe.
        path: Path of the file.
        overwrite: Whether files may be replaced.

    Raises:
        OutputExistsError: If one of the files exists and `overwrite` is not set.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from fociscope.imager import Imager, write_commented_imager
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "chip.toml"
        ...     write_commented_imager(Imager.preset("published"), path)
        ...     Imager.from_toml(path) == Imager.preset("published")
        True
    """
    path = Path(path)
    with described(imager.psf, path, overwrite=overwrite) as (part, psf):
        part.write_text(_text(imager, part, psf), encoding="utf-8")


def _text(imager: Imager, path: Path, psf: dict[str, Any]) -> str:
    content = imager.model_dump(mode="json", exclude_none=True)
    content["psf"] = psf
    del content["further_psfs"]
    lines = [HEAD, "", *_fields(imager, content)]
    for name, values in content.items():
        if isinstance(values, dict):
            lines += ["", *_table(name, getattr(imager, name), values)]
    if imager.further_psfs:
        further = [one.file_fields(path) for one in imager.further_psfs]
        lines += ["", *tomli_w.dumps({"further_psfs": further}).splitlines()]
    return "\n".join(lines) + "\n"


def _table(name: str, part: Configuration, values: dict[str, Any]) -> list[str]:
    """Return a table's lines, those of the tables within it last."""
    lines = [f"[{name}]", *_fields(part, values)]
    for inner, own in values.items():
        if isinstance(own, dict):
            lines += ["", *_table(f"{name}.{inner}", getattr(part, inner), own)]
    return lines


def _fields(part: Configuration, values: dict[str, Any]) -> list[str]:
    """Return the fields that are no tables, each below its comment."""
    comments = field_comments(type(part))
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            continue
        if name in comments:
            lines += [f"# {line}" for line in textwrap.wrap(comments[name], WIDTH)]
        lines += tomli_w.dumps({name: value}).splitlines()
    return lines
