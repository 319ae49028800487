"""Records: what is read back is what was written, and whatever else is one plain line."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, OutputExistsError, RecipeError
from fociscope.files.safe.records import read_record, read_typed_record, write_record

WHAT = "the diary of a bead"
VALUES = {"format": "diary", "format_version": 2, "days": 3}


class Diary(BaseModel):
    days: int = Field(ge=1)


def read(path: Path) -> dict[str, object]:
    return read_record(path, WHAT, format="diary", version=2, most_bytes=100, advice="ask it again")


def test_a_record_comes_back(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", VALUES)
    assert read(tmp_path / "a.json") == VALUES
    assert read_typed_record(tmp_path / "a.json", Diary, WHAT).days == 3


def test_writing_replaces_only_when_asked(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", VALUES)
    with pytest.raises(OutputExistsError):
        write_record(tmp_path / "a.json", {})
    write_record(tmp_path / "a.json", {}, overwrite=True)
    assert (tmp_path / "a.json").read_text() == "{}\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON: Expecting value"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 90, "no JSON"),
        (b"[1]", "no JSON object"),
        (b" " * 101, "too large: 101 bytes"),
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
