import errno
import os
import stat
from pathlib import Path

import pytest

from fociscope.errors import FociscopeError, OutputExistsError
from fociscope.files import atomic_folder, atomic_path, atomic_tree
from fociscope.files.safe.locks import discard_leftovers, locked_folder


def names(folder: Path) -> list[str]:
    return sorted(entry.relative_to(folder).as_posix() for entry in folder.rglob("*"))


def test_file_appears_complete_with_its_suffix_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "map.ome.tif"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".ome.tif")
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert names(tmp_path) == ["map.ome.tif"]


def test_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_path(tmp_path / "ours") as temporary:
        temporary.write_text("x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(failure), atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_existing_file_is_refused_before_the_work(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OutputExistsError, match=r"a\.txt"), atomic_path(target):
        pytest.fail("the body must not run")
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(OutputExistsError), atomic_path(target) as temporary:
        temporary.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


def test_folder_as_target_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError), atomic_path(tmp_path, overwrite=True):
        pass


def test_missing_parents_are_made_and_taken_back(tmp_path: Path) -> None:
    target = tmp_path / "x" / "y" / "a.txt"
    with pytest.raises(RuntimeError), atomic_path(target):
        raise RuntimeError
    assert names(tmp_path) == []
    with atomic_path(target) as temporary:
        temporary.write_text("x")
    assert target.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError("1000 requested and 500 written"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission"),
    ],
)
def test_refusals_of_the_disk_are_plain(tmp_path: Path, error: OSError, words: str) -> None:
    for manager in (atomic_path, atomic_folder):
        with pytest.raises(FociscopeError, match=words) as caught, manager(tmp_path / "out"):
            raise error
        assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_errors_about_other_files_pass_unchanged(tmp_path: Path) -> None:
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/nowhere/input.tif")
    with pytest.raises(PermissionError), atomic_path(tmp_path / "out"):
        raise elsewhere


def test_file_in_place_of_a_folder_is_plain(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FociscopeError), atomic_path(tmp_path / "file" / "out.txt"):
        pass


def test_new_folder_appears_at_once(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with atomic_folder(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b.txt").write_text("b")
        (temporary / "a.txt").write_text("a")
        assert not target.exists()
    assert names(tmp_path) == ["deep", "deep/out", "deep/out/a.txt", "deep/out/sub",
                               "deep/out/sub/b.txt"]  # fmt: skip


def test_empty_folder_is_filled_and_full_one_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("a")
    assert names(target) == ["a.txt"]
    with pytest.raises(OutputExistsError, match="out"), atomic_folder(target):
        pytest.fail("the body must not run")
    with pytest.raises(OutputExistsError), atomic_folder(target / "a.txt", overwrite=True):
        pytest.fail("the body must not run")


def test_overwriting_a_folder_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    with atomic_folder(tmp_path, overwrite=True) as temporary:
        (temporary / "a.txt").write_text("new")
    assert names(tmp_path) == ["a.txt", "mine.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("exists", [False, True])
def test_failure_leaves_no_folder(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "out"
    if exists:
        target.mkdir()
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == (["out"] if exists else [])


def test_failure_while_moving_takes_new_files_back(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "keep").write_text("x")
    with (
        pytest.raises(FociscopeError, match="folder stands"),
        atomic_folder(tmp_path, True) as temporary,
    ):
        (temporary / "a").write_text("new")
        (temporary / "b").write_text("cannot replace a folder")
    assert names(tmp_path) == ["b", "b/keep"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_failure_while_moving_puts_old_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "x.zarr").mkdir(parents=True)
    for name in ("a.csv", "x.zarr/old", "z.json"):
        (tmp_path / "out" / name).write_text("old")
    replace = Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if target.name == "z.json" and self.read_text() == "new":
            raise OSError(errno.ENOSPC, "full", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    with (
        pytest.raises(FociscopeError, match="full"),
        atomic_folder(tmp_path / "out", overwrite=True) as part,
    ):
        (part / "x.zarr").mkdir()
        for name in ("a.csv", "b.csv", "x.zarr/new", "z.json"):
            (part / name).write_text("new")
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"out/a.csv", "out/x.zarr/old", "out/z.json"}
    assert (tmp_path / "out" / "a.csv").read_text() == "old"


def test_a_zarr_store_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "out", overwrite=True) as part:
            (part / "x.zarr" / content).mkdir(parents=True)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["x.zarr"]
    assert [entry.name for entry in (tmp_path / "out" / "x.zarr").iterdir()] == ["new"]


@pytest.mark.parametrize("folder_in_the_way", [True, False])
def test_another_kind_of_thing_in_the_way_is_refused_before_anything_moves(
    tmp_path: Path, folder_in_the_way: bool
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    if folder_in_the_way:
        (tmp_path / "out" / "b").mkdir()
    else:
        (tmp_path / "out" / "b").write_text("old")
    with (
        pytest.raises(FociscopeError, match="folder"),
        atomic_folder(tmp_path / "out", overwrite=True) as part,
    ):
        (part / "a").write_text("new")
        if folder_in_the_way:
            (part / "b").write_text("new")
        else:
            (part / "b").mkdir()
            (part / "b" / "c").write_text("new")
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["a", "b"]


def test_a_folder_that_another_process_writes_into_is_refused(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path / "out"),
        pytest.raises(FociscopeError, match="another process"),
        atomic_folder(tmp_path / "out", overwrite=True),
    ):
        pass
    with locked_folder(tmp_path / "out"), atomic_folder(tmp_path / "out", again=True) as part:
        (part / "a").touch()
    assert (tmp_path / "out" / "a").exists()


@pytest.mark.skipif(os.name == "nt", reason="no such locks")
def test_a_new_folder_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as part:
        (part / "a").touch()
        with (
            pytest.raises(FociscopeError, match="out: another process is writing"),
            atomic_folder(tmp_path / "out"),
        ):
            pytest.fail("the body must not run")
        with atomic_folder(tmp_path / "other"):
            pass
    assert names(tmp_path) == ["other", "out", "out/a"]


def test_a_new_folder_may_be_written_by_parts(tmp_path: Path) -> None:
    """As the demo writes results beside its files."""
    with atomic_folder(tmp_path / "out") as part, atomic_folder(part, overwrite=True) as inner:
        (inner / "a").touch()
    assert names(tmp_path) == ["out", "out/a"]


@pytest.mark.skipif(os.name == "nt", reason="no such locks")
def test_what_a_killed_writer_of_a_new_folder_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".out-0123456789ab").mkdir()
    (tmp_path / ".out-0123456789ab" / "half").touch()
    (tmp_path / ".other-0123456789ab").mkdir()
    with atomic_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == [".other-0123456789ab", "out"]


def test_a_file_that_another_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    (tmp_path / ".a-0123456789ab.csv").touch()
    with atomic_path(tmp_path / "a.csv", overwrite=True) as ours:
        ours.write_text("ours")
        with atomic_path(tmp_path / "a.csv", overwrite=True) as theirs:
            assert names(tmp_path) == sorted([ours.name, theirs.name])
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("refused", ["listing", "removing"])
def test_leftovers_that_are_not_ours_to_see_or_remove_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    left = tmp_path / ".a-0123456789ab.csv"
    left.touch()
    with monkeypatch.context() as patched:
        if refused == "listing":
            patched.setattr(Path, "iterdir", refuse)
        else:
            patched.setattr("fociscope.files.safe.locks.remove", refuse)
        with atomic_path(tmp_path / "a.csv") as part:
            part.write_text("new")
    assert names(tmp_path) == [left.name, "a.csv"]


def test_a_folder_that_was_made_for_a_lock_goes_if_it_stays_empty(tmp_path: Path) -> None:
    with locked_folder(tmp_path / "d"):
        pass
    assert names(tmp_path) == []
    with locked_folder(tmp_path / "d"):
        (tmp_path / "d" / "a").touch()
    assert names(tmp_path) == ["d", "d/a"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_means_nothing_any_more_goes_with_success(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal").touch()
    try:
        with atomic_folder(tmp_path / "out", overwrite=True, removes=["journal", "none"]) as part:
            (part / "a").touch()
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert names(tmp_path / "out") == (["journal"] if fails else ["a"])


def test_a_relative_path_that_cannot_be_made_is_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FociscopeError, match="too long"), atomic_folder(Path("x" * 300)):
        pass


def test_what_a_killed_run_left_in_an_empty_folder_does_not_fill_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in (".writing-0123456789ab", ".out-0123456789ab"):  # of now and of earlier versions
        (out / name / "x").mkdir(parents=True)
    with atomic_folder(out) as part:
        (part / "a").touch()
    assert [entry.name for entry in out.iterdir()] == ["a"]


def test_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_folder(tmp_path / "link") as temporary:
        (temporary / "a").write_text("a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "a"


def test_a_tree_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    for name in ("old", "new"):
        with atomic_tree(target, overwrite=name == "new") as folder:
            (folder / "c").mkdir()
            (folder / "c" / name).write_text("x")
    assert names(tmp_path) == ["a.zarr", "a.zarr/c", "a.zarr/c/new"]
    with pytest.raises(OutputExistsError), atomic_tree(target):
        pytest.fail("the body must not run")


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_tree_that_fails_leaves_the_old_one(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "a.zarr"
    with atomic_tree(target) as folder:
        (folder / "old").write_text("x")
    with pytest.raises(failure), atomic_tree(target, overwrite=True) as folder:
        (folder / "new").write_text("x")
        raise failure
    assert names(tmp_path) == ["a.zarr", "a.zarr/old"]


def test_leftovers_of_killed_writers_are_found_by_their_name(tmp_path: Path) -> None:
    left = [".1-0123456789ab.mat", ".dataset-0123456789ab.json", ".2-0123456789ab.mat"]
    others = [".1-0123456789.mat", ".3-0123456789ab.mat", "1-0123456789ab.mat", ".1-notes.mat"]
    for name in (*left, *others):
        (tmp_path / name).touch()
    (tmp_path / ".4-0123456789ab.zarr" / "c").mkdir(parents=True)
    targets = [tmp_path / name for name in ("1.mat", "2.mat", "dataset.json", "4.zarr")]
    removed = discard_leftovers(targets)
    assert {path.name for path in removed} == {*left, ".4-0123456789ab.zarr"}
    assert sorted(names(tmp_path)) == sorted(others)


@pytest.mark.skipif(os.name == "nt", reason="no such locks")
def test_a_folder_is_locked_for_one_writer(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path / "d"),
        pytest.raises(FociscopeError, match="another process"),
        locked_folder(tmp_path / "d"),
    ):
        pytest.fail("the body must not run")
    with locked_folder(tmp_path / "d"):
        pass


def test_a_tree_whose_replacement_fails_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").touch()
    rename, calls = Path.rename, []

    def fail_at_the_second(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_at_the_second)
    with pytest.raises(OSError, match="input/output"), atomic_tree(path, overwrite=True) as part:
        (part / "new").touch()
    assert [file.name for file in tmp_path.iterdir()] == ["a.zarr"]
    assert [file.name for file in path.iterdir()] == ["old"]
