"""Tables in text files as spreadsheets and programs save them: encodings, separators, numbers."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable

__all__ = ["decoded_table", "is_decimal_comma", "number_text", "table_rows"]

_EXCEL_SEPARATOR = re.compile(r"sep=.", re.IGNORECASE)
_COMMENT = "#"
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_WIDE_SPACES = re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=\d)")


def decoded_table(content: bytes) -> str:
    """Return the text of a table: UTF-8, UTF-16 with its mark, or Windows' own (Excel's CSV).

    Raises:
        UnicodeDecodeError: If it is no text.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252")
        if not all(one.isprintable() or one in "\t\r\n\u00a0" for one in text):
            raise
        return text


def table_rows(text: str, is_header: Callable[[str], bool]) -> tuple[list[list[str]], str]:
    """Return the rows of a table, cells without spaces around them, and what separates cells.

    Lines in front that begin with "#" are comments; the last of them may be the header, as
    `numpy.savetxt` writes it.

    Args:
        text: Of the file.
        is_header: Whether a cell is the name of a column.

    Raises:
        csv.Error: If quotes are not closed, or a cell is too long.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and _EXCEL_SEPARATOR.fullmatch(lines[0].strip()):
        lines = lines[1:]
    comments = 0
    while comments < len(lines) and lines[comments].lstrip().startswith(_COMMENT):
        comments += 1
    body = lines[comments:]
    separator = next((mark for mark in (";", "\t") if any(mark in line for line in body)), ",")
    if _is_spaced(body):
        separator = " "
    rows = [[cell.strip() for cell in row] for row in _split(body, separator)]
    if comments:
        said = lines[comments - 1].strip().lstrip(_COMMENT).strip()
        names = [cell.strip() for cell in _split([said], separator)[0]] if said else []
        whole = [said] if is_header(said) else []
        rows[:0] = [names] if any(map(is_header, names)) else [whole] if whole else []
    return rows, separator


def is_decimal_comma(cell: str) -> bool:
    """Return whether a cell is digits, a comma and digits, as 12,5."""
    return _COMMA_NUMBER.fullmatch(cell) is not None


def number_text(cell: str) -> str:
    """Return a number as Python reads it: minus signs and spaces of spreadsheets are replaced."""
    return _WIDE_SPACES.sub("", cell).replace("\u2212", "-")


def _split(lines: list[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _is_spaced(lines: list[str]) -> bool:
    """Return whether spaces alone separate the columns: all lines but the first are numbers."""
    rows = [line.split() for line in lines[1:]]
    if not rows or len(rows[0]) < 2 or any(mark in line for line in lines for mark in ";\t,"):
        return False
    return all(len(row) == len(rows[0]) and all(map(_is_number, row)) for row in rows)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(number_text(cell.strip())) is not None
