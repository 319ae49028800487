"""An imager's file to begin with: every field with its value and a comment."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import tomli_w

from fociscope.configuration import Configuration
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
    comments = _comments(type(part))
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            continue
        if name in comments:
            lines += [f"# {line}" for line in textwrap.wrap(comments[name], WIDTH)]
        lines += tomli_w.dumps({name: value}).splitlines()
    return lines


@lru_cache
def _comments(kind: type[Configuration]) -> dict[str, str]:
    """Return the first paragraph of the docstring of each field of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, Configuration) or base is Configuration:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, SyntaxError):  # a class of a program that keeps no source
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                paragraph = inspect.cleandoc(str(text.value.value)).split("\n\n")[0]
                found[field.target.id] = " ".join(paragraph.split())
    return found
