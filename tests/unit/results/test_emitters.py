"""Tables of emitters are read back as they were written, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fociscope.errors import FileFormatError
from fociscope.localization import Emitters
from fociscope.localization.emitters import COLUMNS
from fociscope.results.emitters import (
    EMITTERS_TABLE,
    FRAMES_TABLE,
    count_emitters,
    emitter_headers,
    emitter_lines,
    load_emitters,
)


def emitters() -> Emitters:
    """Return three emitters in frames 0, 2 and 2 of three, the second without any."""
    values = {name: np.array([1.25, 20.5, 300.125]) for name in COLUMNS[1:8]}
    return Emitters(
        frame=np.array([0, 2, 2]),
        **values,
        probability=np.array([1.0, 0.5, 0.75]),
        background=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        misfit=np.array([1.0, 1.125, 9.0]),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text, first = emitter_lines(emitters(), names=["a", "b", "c"]), emitter_headers(2)
    for name, lines in text.items():
        (tmp_path / name).write_text(first[name] + lines)
    return tmp_path


def test_emitters_are_read_back(folder: Path) -> None:
    found, expected = load_emitters(folder), emitters()

    for name in (*COLUMNS, "background", "misfit"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.counts.tolist() == [1, 0, 2]


def test_the_first_frames_can_be_read_alone(folder: Path) -> None:
    found = load_emitters(folder, frames=2)

    assert found.counts.tolist() == [1, 0]


def test_frames_are_counted_without_the_emitters(folder: Path) -> None:
    counts = count_emitters(folder, most_odd=4)

    assert (counts.emitters, counts.least, counts.most) == (3, 0, 2)
    assert (counts.explained, counts.median_misfit) == (2, 1.125)
    assert counts.odd == ((3, "c"),)


@pytest.mark.parametrize(
    ("table", "before", "after", "said"),
    [
        (EMITTERS_TABLE, "depth_um", "deep", "without depth_um"),
        (EMITTERS_TABLE, "300.125", "nan", "not finite"),
        (EMITTERS_TABLE, "\n3,", "\n4,", "expected 1 to 3"),
        (FRAMES_TABLE, "1.125", "much", "no table of emitters"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(
    folder: Path, table: str, before: str, after: str, said: str
) -> None:
    text = (folder / table).read_text()
    assert before in text
    (folder / table).write_text(text.replace(before, after))

    with pytest.raises(FileFormatError, match=said):
        load_emitters(folder)
