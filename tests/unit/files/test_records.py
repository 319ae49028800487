"""Records: what is read back is what was written, and whatever else is one plain line."""

import os
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, OutputExistsError, RecipeError
from fociscope.files.safe import records
from fociscope.files.safe.records import CHECKSUM, read_record, read_typed_record, write_record
from fociscope.imager import Imager

WHAT = "the diary of a bead"
VALUES = {"format": "diary", "format_version": 2, "days": 3}


class Diary(BaseModel):
    days: int = Field(ge=1)


def read(path: Path) -> dict[str, object]:
    return read_record(path, WHAT, format="diary", version=2, most_bytes=200, advice="ask it again")


def test_a_record_comes_back(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", VALUES)
    assert read(tmp_path / "a.json") == VALUES
    assert read_typed_record(tmp_path / "a.json", Diary, WHAT).days == 3


def test_writing_replaces_only_when_asked(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", VALUES)
    with pytest.raises(OutputExistsError):
        write_record(tmp_path / "a.json", {})
    write_record(tmp_path / "a.json", {"days": 4}, overwrite=True)
    assert read_record(tmp_path / "a.json", WHAT) == {"days": 4}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON: Expecting value"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 90, "no JSON"),
        (b"[1]", "no JSON object"),
        (b" " * 201, "too large: more than 200 bytes"),
        (b"{}", "its format is None"),
        (b'{"format": "bead\\n"}', "its format is"),
        (b'{"format": "diary"}', "version None, this Fociscope reads version 2"),
        (b'{"format": "diary", "format_version": 3}', "version 3, this Fociscope"),
    ],
)
def test_anything_else_is_one_line_that_says_what_to_do(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert why in message
    assert message.endswith("ask it again.")
    assert "\n" not in message


def test_a_missing_record_and_a_deep_one(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=f"no such file, expected {WHAT}"):
        read(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"[" * 200_000)
    with pytest.raises(FileFormatError, match="damaged"):
        read_record(tmp_path / "a.json", WHAT)


def test_the_error_is_of_the_type_asked_for_and_names_the_field(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", {"days": 0})
    with pytest.raises(RecipeError, match="days"):
        read_typed_record(tmp_path / "a.json", Diary, WHAT, error=RecipeError)


def test_a_damaged_value_is_refused_by_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_record(path, VALUES)
    path.write_text(path.read_text().replace('"days": 3', '"days": 7'))
    with pytest.raises(FileFormatError, match=r"checksum does not hold\); ask it again"):
        read(path)


def test_a_record_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"days": 7}')
    assert read_record(path, WHAT) == {"days": 7}
    with pytest.raises(FileFormatError, match="it has no checksum"):
        read_record(path, WHAT, needs_checksum=True)


def test_the_checksum_is_of_values_and_not_of_their_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_record(path, {"b": [1.5, None], "a": {"z": "µ", "y": True}})
    text = path.read_text().replace("\n", "").replace(" ", "")
    path.write_text(text)
    assert CHECKSUM in text
    assert read_record(path, WHAT) == {"b": [1.5, None], "a": {"z": "µ", "y": True}}


@pytest.mark.parametrize("bound", ["MOST_VALUES", "MOST_CONTAINERS"])
def test_more_values_than_are_bounded_are_not_parsed(tmp_path: Path, monkeypatch, bound) -> None:
    monkeypatch.setattr(records, bound, 50)
    (tmp_path / "a.json").write_text('{"a": [' + "{}," * 99 + "{}]}")
    with pytest.raises(FileFormatError, match="too large: 99 values in 102 lists and objects"):
        read_record(tmp_path / "a.json", WHAT)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
def test_a_pipe_is_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_record(tmp_path / "a.json", WHAT)


class Instrument(BaseModel):
    imager: Imager


@pytest.mark.parametrize(
    "part",
    [
        {"psf": {"kind": "measured", "depth_um": [1, 2], "pixel_pitch_um": 55, "file": "k.tif"}},
        {"psf": {"kind": "angular-response", "file": "k.csv"}},
        {"layout": "k.csv"},
    ],
)
def test_a_record_names_no_further_file(tmp_path: Path, part: dict[str, object]) -> None:
    write_record(tmp_path / "a.json", {"imager": part})
    with pytest.raises(FileFormatError, match=r"names the file 'k\....', expected its content"):
        read_typed_record(tmp_path / "a.json", Instrument, WHAT)
