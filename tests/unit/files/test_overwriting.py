"""What a killed overwriting has left is put in order by the next writer, and by no way of links."""

from __future__ import annotations

from pathlib import Path

import pytest

from fociscope.errors import FociscopeError
from fociscope.files import atomic_folder
from fociscope.files.safe.backup import BACKUP, Backup
from fociscope.files.safe.locks import locked_folder
from fociscope.files.safe.overwriting import OVERWRITING


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def put(folder: Path, text: str, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_names_that_mean_nothing_beside_the_new_files_go(tmp_path: Path) -> None:
    put(tmp_path, "old", "a.csv", "x.npz", "notes.txt")
    with atomic_folder(tmp_path, overwrite=True, removes=["a.csv", "x.npz"]) as part:
        put(part, "new", "a.csv")
    assert content(tmp_path) == {"a.csv": "new", "notes.txt": "old"}


@pytest.mark.parametrize(
    ("waits_in", "whole"), [("waiting", "old"), ("new", "new")], ids=["goes back", "goes on"]
)
def test_the_next_lock_ends_what_was_begun(tmp_path: Path, waits_in: str, whole: str) -> None:
    place = tmp_path / OVERWRITING
    put(place / "old", "old", "a.csv", "b/c.csv")
    put(place / waits_in, "new", "a.csv", "b/c.csv")
    with locked_folder(tmp_path):
        assert content(tmp_path) == {"a.csv": whole, "b/c.csv": whole}
    assert not place.exists()


@pytest.mark.parametrize("place", [f"{OVERWRITING}/new", BACKUP])
def test_links_in_a_prepared_folder_are_not_followed(tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path / "out" / place, "evil", "b/c.csv")
    (tmp_path / "out" / "b").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(FociscopeError, match="a link, expected a folder"),
        locked_folder(tmp_path / "out"),
    ):
        Backup(tmp_path / "out", ["c.csv"]).restore()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_is_no_place_that_a_writer_has_made(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "evil", "old/a.csv", "a.csv")
    (tmp_path / "out").mkdir()
    for name in (OVERWRITING, BACKUP):
        (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere")
    with locked_folder(tmp_path / "out"):
        backup = Backup(tmp_path / "out", ["a.csv"])
        assert not backup.holds_something
        backup.restore()
    assert content(tmp_path / "elsewhere") == {"old/a.csv": "evil", "a.csv": "evil"}


def test_folders_below_go_and_come_back_with_the_others(tmp_path: Path) -> None:
    put(tmp_path, "old", "a.csv", "b/a.csv", "b/notes.txt")
    backup = Backup(tmp_path, ["a.csv"])
    backup.take(inner=["b", "c/d"])
    assert [path.name for path in tmp_path.rglob("*.csv") if BACKUP not in path.parts] == []
    put(tmp_path, "new", "a.csv", "b/a.csv", "c/d/a.csv")
    Backup(tmp_path, ["a.csv"]).restore()
    assert content(tmp_path) == {"a.csv": "old", "b/a.csv": "old", "b/notes.txt": "old"}
