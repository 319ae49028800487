"""Long series: written in parts, killed, gone on with; bytes as if nothing had stopped them."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import zarr

from fociscope.errors import CaptureError, FociscopeError, OutputExistsError
from fociscope.files.safe.backup import BACKUP, Backup
from fociscope.files.safe.records import write_record
from fociscope.reconstruction import Model, load_model
from fociscope.results.writers import result_names
from fociscope.series import series as module
from fociscope.series.folder import SeriesFolder
from fociscope.series.journal import Journal
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import is_long, reconstruct_series
from fociscope.simulation import simulate

FRAMES, PART = 11, 4


@dataclass
class Double:
    """Captures in memory; asks how many are read at a time."""

    captures: np.ndarray
    names: tuple[Path, ...] = ()
    most: int = 0
    fails_at: int | None = None
    read_of: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.captures.shape

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        if self.fails_at is not None and start >= self.fails_at:
            raise KeyboardInterrupt
        self.read_of.append(start)
        self.most = max(self.most, len(self.captures[start:stop]))
        return self.captures[start:stop]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(simulate(FRAMES, seed=77).captures)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch) -> None:
    monkeypatch.setattr(module, "PART_FRAMES", PART)
    monkeypatch.setattr(module, "CHUNK_FRAMES", 2)


@pytest.fixture(scope="module")
def whole(model, captures, tmp_path_factory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "map"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART_FRAMES", PART)
        patch.setattr(module, "CHUNK_FRAMES", 2)
        done = reconstruct_series(model, Double(captures), folder)
    assert (done.frames, done.made) == (FRAMES, FRAMES)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_parts_give_what_the_whole_gives(model, captures, whole) -> None:
    expected = model.reconstruct(captures)
    group = zarr.open_group(whole / "reconstruction.ome.zarr", mode="r")
    np.testing.assert_allclose(group["0"][:, 0], expected.probability, atol=1e-5)
    np.testing.assert_allclose(group["depth_um"][:], expected.depth_um, atol=0.01)
    assert [r["frame"] for r in rows(whole / "frames.csv")] == [str(n + 1) for n in range(FRAMES)]
    assert len(rows(whole / "layers.csv")) == 4 * FRAMES
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["series"]["frames"] == FRAMES
    depth_um = [layer["depth_um_mean"] for layer in summary["series"]["layers"]]
    present = expected.present
    means = (expected.depth_um * present).sum(axis=0) / present.sum(axis=0)
    assert depth_um == pytest.approx(means.tolist(), abs=0.02)
    foci = [layer["foci"] for layer in summary["series"]["layers"]]
    assert sum(foci) == len(rows(whole / "foci.csv"))
    assert not (whole / "journal.json").exists()


def test_only_a_part_is_read_at_a_time(model, captures, tmp_path) -> None:
    series = Double(captures)
    reconstruct_series(model, series, tmp_path / "map", ReconstructionOptions(formats=["csv"]))
    assert series.most == PART
    assert {p.name for p in (tmp_path / "map").iterdir()} == {
        "frames.csv", "layers.csv", "foci.csv", "summary.json",
    }  # fmt: skip


@pytest.mark.parametrize("fails_at", [0, PART, 2 * PART])
def test_an_interrupted_series_goes_on(model, captures, whole, tmp_path, fails_at) -> None:
    folder = tmp_path / "map"
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(model, Double(captures, fails_at=fails_at), folder)
    if fails_at == 0:
        assert not folder.exists()
    else:
        assert len(rows(folder / "frames.csv")) == fails_at
        group = zarr.open_group(folder / "reconstruction.ome.zarr", mode="r")
        assert group["0"].shape[0] == fails_at
        with pytest.raises(OutputExistsError, match=f"{fails_at} frame.*resume"):
            reconstruct_series(model, Double(captures), folder)
    series = Double(captures)
    done = reconstruct_series(model, series, folder, ReconstructionOptions(resume=True))
    assert (done.made, min(series.read_of)) == (FRAMES - fails_at, fails_at)
    assert content(folder) == content(whole)
    again = Double(captures)
    assert reconstruct_series(model, again, folder, ReconstructionOptions(resume=True)).made == 0
    assert again.read_of == []


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {here!r})
    import torch
    torch.set_num_threads(1)
    import numpy as np
    from pathlib import Path
    from fociscope.reconstruction import load_model
    from fociscope.series import series as module
    from fociscope.series.{where} import {owner}
    module.PART_FRAMES, module.CHUNK_FRAMES = 4, 2
    calls = 0
    real = {owner}.{method}
    def killed(*arguments, **named):
        global calls
        calls += 1
        if calls == {call}:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    {owner}.{method} = killed
    captures = np.load(sys.argv[1])
    class Series:
        shape, names = captures.shape, ()
        def read(self, start=0, stop=None): return captures[start:stop]
    module.reconstruct_series(load_model("layers-ab", device="cpu"), Series(), Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize(
    ("where", "owner", "method", "call"),
    [
        ("folder", "SeriesFolder", "_append_lines", 5),  # arrays and one table written
        ("journal", "Journal", "write", 3),  # all of the second part written, not yet certain
        ("folder", "SeriesFolder", "finish", 1),  # only the summary is missing
    ],
)
def test_a_killed_series_goes_on(
    model, captures, whole, tmp_path, where, owner, method, call
) -> None:
    np.save(tmp_path / "captures.npy", captures)
    script = textwrap.dedent(
        KILLED.format(here=str(tmp_path), where=where, owner=owner, method=method, call=call)
    )
    folder = tmp_path / "map"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "captures.npy"), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    assert (folder / "journal.json").exists()
    reconstruct_series(model, Double(captures), folder, ReconstructionOptions(resume=True))
    assert content(folder) == content(whole)


@pytest.mark.parametrize(
    "gone", [".", "frames.csv", "layers.csv", "reconstruction.ome.zarr", "journal.json"]
)
def test_output_that_is_removed_meanwhile_ends_the_run(model, captures, tmp_path, gone) -> None:
    folder = tmp_path / "map"

    @dataclass
    class Removing(Double):
        def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
            if start == 2 * PART:
                path = folder / gone
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                folder.mkdir(exist_ok=True)
            return super().read(start, stop)

    with pytest.raises(FociscopeError, match="removed or replaced while results were written"):
        reconstruct_series(model, Removing(captures), folder)
    assert not (folder / "summary.json").exists()


def test_a_full_disk_is_one_line_and_leaves_whole_frames(
    model, captures, whole, tmp_path, monkeypatch
) -> None:
    real, calls = SeriesFolder._append_lines, []

    def full(self: SeriesFolder, path: Path, lines: bytes) -> int:
        calls.append(path)
        if len(calls) == 5:
            with path.open("ab") as stream:
                stream.write(lines[: len(lines) // 2])
            raise FociscopeError(f"{path}: cannot be written: the disk is full")
        return real(self, path, lines)

    monkeypatch.setattr(SeriesFolder, "_append_lines", full)
    folder = tmp_path / "map"
    with pytest.raises(FociscopeError, match="disk is full"):
        reconstruct_series(model, Double(captures), folder)
    assert len(rows(folder / "frames.csv")) == len(rows(folder / "layers.csv")) / 4 == PART
    reconstruct_series(model, Double(captures), folder, ReconstructionOptions(resume=True))
    assert content(folder) == content(whole)


@pytest.mark.parametrize(
    ("number", "says"), [(errno.EROFS, "read-only"), (errno.EACCES, "permission denied")]
)
def test_a_folder_that_may_not_be_written_is_one_line(
    model, captures, tmp_path, monkeypatch, number, says
) -> None:
    def refuses(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuses)
    with pytest.raises(FociscopeError, match=f"cannot be written: .*{says}"):
        reconstruct_series(model, Double(captures), tmp_path / "map")
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_the_disk_itself_is_one_line(model, captures, tmp_path) -> None:
    resource = pytest.importorskip("resource")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        with pytest.raises(FociscopeError, match="cannot be written"):
            reconstruct_series(model, Double(captures), tmp_path / "map")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "map").exists()


def test_a_frame_that_cannot_be_reconstructed_is_named(model, captures, tmp_path) -> None:
    broken = captures.copy()
    broken[6, 1] = 0
    with pytest.raises(CaptureError, match="frame 7: sensor B holds no light"):
        reconstruct_series(model, Double(broken), tmp_path / "map")
    assert len(rows(tmp_path / "map" / "frames.csv")) == PART


def test_another_job_does_not_go_on_in_the_folder(model, captures, tmp_path) -> None:
    folder = tmp_path / "map"
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(model, Double(captures, fails_at=PART), folder)
    with pytest.raises(FociscopeError, match="another number of layers"):
        reconstruct_series(
            model, Double(captures), folder, ReconstructionOptions(layers=3, resume=True)
        )
    with pytest.raises(FociscopeError, match="another captures"):
        reconstruct_series(model, Double(captures[:9]), folder, ReconstructionOptions(resume=True))
    done = reconstruct_series(
        model, Double(captures[:9]), folder, ReconstructionOptions(overwrite=True)
    )
    assert (done.frames, len(rows(folder / "frames.csv"))) == (9, 9)


def test_a_damaged_journal_is_refused_in_words(model, captures, tmp_path) -> None:
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "journal.json").write_text("{")
    with pytest.raises(FociscopeError, match="not the journal"):
        reconstruct_series(
            model, Double(captures), tmp_path / "map", ReconstructionOptions(resume=True)
        )


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
def test_a_second_run_into_the_folder_is_refused(model, captures, tmp_path) -> None:
    from fociscope.files.safe.locks import locked_folder

    with (
        locked_folder(tmp_path / "map"),
        pytest.raises(FociscopeError, match="another process is writing"),
    ):
        reconstruct_series(model, Double(captures), tmp_path / "map")


def test_what_is_long() -> None:
    assert not is_long((512, 2, 51, 51), 4)
    assert is_long((513, 2, 51, 51), 4)
    assert is_long((30, 2, 1024, 1024), 4)
    assert not is_long((1, 2, 4096, 4096), 6)


def test_formats_that_cannot_grow_are_refused(model, captures, tmp_path) -> None:
    with pytest.raises(FociscopeError, match="choose among: ome-zarr, csv"):
        reconstruct_series(
            model, Double(captures), tmp_path / "map", ReconstructionOptions(formats=["mat"])
        )
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_series_leaves_nothing_of_the_one_it_replaces(
    model, captures, whole, tmp_path
) -> None:
    folder, alone = tmp_path / "map", tmp_path / "alone"
    shutil.copytree(whole, folder)
    reconstruct_series(model, Double(captures[:3]), folder, ReconstructionOptions(overwrite=True))
    reconstruct_series(model, Double(captures[:3]), alone)
    assert content(folder) == content(alone)


def test_what_fails_before_its_first_frames_leaves_what_was_there(
    model, captures, whole, tmp_path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(
            model,
            Double(captures, fails_at=0),
            tmp_path / "out",
            ReconstructionOptions(overwrite=True),
        )
    assert content(tmp_path / "out") == content(whole)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(
            model,
            Double(captures, fails_at=PART),
            tmp_path / "out",
            ReconstructionOptions(overwrite=True),
        )
    assert (
        tmp_path / "out" / "journal.json"
    ).exists()  # by then, frames of the new run are certain
    assert not list((tmp_path / "out").glob(".*"))


def test_what_a_killed_overwriting_hid_comes_back(model, captures, whole, tmp_path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    Backup(tmp_path / "out", result_names()).take()
    with pytest.raises(OutputExistsError, match="not empty"):
        reconstruct_series(model, Double(captures), tmp_path / "out")
    assert content(tmp_path / "out") == content(whole)


@pytest.fixture
def begun(model, captures, tmp_path) -> Path:
    """A run that ended when a part was certain."""
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(model, Double(captures, fails_at=PART), tmp_path / "map")
    return tmp_path / "map"


def resumed(model: Model, captures: np.ndarray, folder: Path) -> None:
    reconstruct_series(model, Double(captures), folder, ReconstructionOptions(resume=True))


def sealed(folder: Path, **changes: object) -> None:
    """Change a journal as someone would who means harm: its checksum holds."""
    said = json.loads((folder / "journal.json").read_text())
    write_record(folder / "journal.json", {**said, **changes}, overwrite=True)


@pytest.mark.parametrize("name", ["../mine.csv", "{folder}/mine.csv", "mine.csv", "", ".."])
def test_a_journal_cuts_no_other_file(model, captures, begun, name) -> None:
    for place in (begun, begun.parent):
        (place / "mine.csv").write_text("all of it")
    tables = json.loads((begun / "journal.json").read_text())["tables"]
    named = name.format(folder=begun.parent)
    sealed(begun, tables={**tables, named: {"bytes": 3, "sha256": "0" * 64}})
    with pytest.raises(FociscopeError, match="no table of a series"):
        resumed(model, captures, begun)
    assert (begun / "mine.csv").read_text() == (begun.parent / "mine.csv").read_text()
    assert (begun / "mine.csv").read_text() == "all of it"


@pytest.mark.parametrize("way", [os.symlink, os.link])
def test_tables_that_are_links_are_not_followed(model, captures, begun, way) -> None:
    elsewhere = begun.parent / "mine.csv"
    shutil.move(begun / "layers.csv", elsewhere)
    with elsewhere.open("a") as stream:
        stream.write("more of mine\n")
    before = elsewhere.read_bytes()
    way(elsewhere, begun / "layers.csv")
    with pytest.raises(FociscopeError, match=r"layers\.csv: no file of its own.*overwrite"):
        resumed(model, captures, begun)
    assert elsewhere.read_bytes() == before


@pytest.mark.parametrize("inside", [False, True])
def test_a_store_that_is_or_holds_a_link_is_not_followed(model, captures, begun, inside) -> None:
    store = begun / "reconstruction.ome.zarr"
    entry = store / "0" / "c" if inside else store
    shutil.move(entry, begun.parent / "mine")
    before = content(begun.parent / "mine")
    entry.symlink_to(begun.parent / "mine")
    with pytest.raises(FociscopeError, match=r"reconstruction\.ome\.zarr: .*(link|no folder)"):
        resumed(model, captures, begun)
    assert content(begun.parent / "mine") == before


def test_a_hidden_folder_that_is_a_link_gives_nothing_back(model, captures, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "summary.json").write_text("mine")
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / BACKUP).symlink_to(tmp_path / "mine")
    options = ReconstructionOptions(overwrite=True, formats=("csv",))
    reconstruct_series(model, Double(captures), tmp_path / "map", options)
    assert content(tmp_path / "mine") == {"summary.json": b"mine"}


def test_a_journal_whose_checksum_does_not_hold_is_refused(model, captures, begun) -> None:
    text = (begun / "journal.json").read_text()
    (begun / "journal.json").write_text(text.replace('"frames": 4', '"frames": 3'))
    with pytest.raises(FociscopeError, match=r"journal\.json: damaged.*checksum does not hold"):
        resumed(model, captures, begun)


def test_sums_of_another_number_of_layers_are_refused(model, captures, begun) -> None:
    totals = json.loads((begun / "journal.json").read_text())["totals"]
    fewer = {
        name: v[:3] if isinstance(v, list) and len(v) == 4 else v for name, v in totals.items()
    }
    sealed(begun, totals=fewer)
    with pytest.raises(FociscopeError, match=r"3 layer\(s\), expected 2 and 4"):
        resumed(model, captures, begun)
    sealed(begun, totals={**totals, "foci": totals["foci"][:2]})
    with pytest.raises(FociscopeError, match="different numbers of layers"):
        resumed(model, captures, begun)
    sealed(begun, totals={**totals, "frames": 1})
    with pytest.raises(FociscopeError, match="counts more than its 1 frames"):
        resumed(model, captures, begun)


def test_a_table_that_was_changed_is_not_taken_up(model, captures, begun) -> None:
    table = begun / "layers.csv"
    table.write_text(table.read_text().replace("0", "1", 1))
    with pytest.raises(FociscopeError, match=r"layers\.csv: its checksum is not the one"):
        resumed(model, captures, begun)
    table.write_text("")
    with pytest.raises(FociscopeError, match=r"layers\.csv: shorter than journal\.json says"):
        resumed(model, captures, begun)


def test_a_store_that_was_changed_is_not_taken_up(model, captures, begun) -> None:
    store = begun / "reconstruction.ome.zarr"
    chunk = next(path for path in (store / "0" / "c" / "1").rglob("*") if path.is_file())
    shutil.rmtree(store / "0" / "c" / "1")
    with pytest.raises(FociscopeError, match="lacks a part of the frames"):
        resumed(model, captures, begun)
    chunk.parent.mkdir(parents=True)
    text = (store / "0" / "zarr.json").read_text()
    (store / "0" / "zarr.json").write_text(text.replace('"level": 1', '"level": 2'))
    with pytest.raises(FociscopeError, match="described otherwise than at first"):
        resumed(model, captures, begun)


def test_a_summary_without_its_figures_is_refused(model, captures, whole, tmp_path) -> None:
    shutil.copytree(whole, tmp_path / "map")
    said = json.loads((tmp_path / "map" / "summary.json").read_text())
    del said["series"]["layers"][0]["foci"]
    write_record(tmp_path / "map" / "summary.json", said, overwrite=True)
    with pytest.raises(FociscopeError, match=r"series\.layers\.0\.foci: Field required"):
        resumed(model, captures, tmp_path / "map")


def test_a_damaged_summary_is_refused_in_words(model, captures, tmp_path) -> None:
    (tmp_path / "summary.json").write_text("{bad")
    with pytest.raises(FociscopeError, match=r"summary\.json: damaged"):
        reconstruct_series(model, Double(captures), tmp_path, ReconstructionOptions(resume=True))


def test_another_precision_is_named(captures, tmp_path) -> None:
    for precision in ("float32", "bfloat16"):
        model = load_model("layers-ab", device="cpu", precision=precision)
        series = Double(captures, fails_at=PART)
        with pytest.raises((KeyboardInterrupt, FociscopeError)) as caught:
            reconstruct_series(model, series, tmp_path / "out", ReconstructionOptions(resume=True))
    assert "another precision (float32, now bfloat16)" in str(caught.value)


def test_ctrl_c_between_the_journal_and_its_word_loses_nothing(
    model, captures, whole, tmp_path, monkeypatch
) -> None:
    write, parts = Journal.write, []

    def interrupted(self: Journal, folder: Path) -> None:
        write(self, folder)
        parts.append(self.frames)
        if self.frames == 2 * PART:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Journal, "write", interrupted)
        reconstruct_series(model, Double(captures), tmp_path / "out")
    assert parts == [0, PART, 2 * PART]
    reconstruct_series(
        model, Double(captures), tmp_path / "out", ReconstructionOptions(resume=True)
    )
    assert content(tmp_path / "out") == content(whole)


def test_ctrl_c_while_the_earlier_results_go_keeps_the_new_ones(
    model, captures, whole, tmp_path, monkeypatch
) -> None:
    shutil.copytree(whole, tmp_path / "out")

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("fociscope.files.safe.backup.remove", interrupted)
        reconstruct_series(
            model, Double(captures), tmp_path / "out", ReconstructionOptions(overwrite=True)
        )
    done = reconstruct_series(
        model, Double(captures), tmp_path / "out", ReconstructionOptions(resume=True)
    )
    assert done.made == FRAMES - PART
    assert content(tmp_path / "out") == content(whole)


def test_a_run_killed_before_its_first_frames_leaves_no_journal(
    model, captures, whole, tmp_path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    Backup(tmp_path / "out", result_names()).take()
    Journal(identity={}).write(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="not empty"):
        reconstruct_series(model, Double(captures), tmp_path / "out")
    assert content(tmp_path / "out") == content(whole)


def test_what_cannot_be_set_aside_stays(tmp_path, monkeypatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    replace = Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if self == tmp_path / "b":
            raise OSError(errno.EACCES, "no", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(FociscopeError, match="permission"):
        Backup(tmp_path, ["a", "b"]).take()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b"]


def test_giving_back_may_be_killed_at_any_moment(model, captures, tmp_path, monkeypatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        reconstruct_series(model, Double(captures, fails_at=PART), tmp_path / "out")
    before = content(tmp_path / "out")
    Backup(tmp_path / "out", result_names()).take()
    replace, left = Path.replace, [2]

    def killed(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", killed)
        Backup(tmp_path / "out", result_names()).restore()
    with pytest.raises(OutputExistsError, match=f"series of {PART} frame"):
        reconstruct_series(model, Double(captures), tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_short_run_takes_the_place_of_what_was_hidden(model, captures, whole, tmp_path) -> None:
    shutil.copytree(whole, tmp_path / "out")
    Backup(tmp_path / "out", result_names()).take()
    model.reconstruct(captures[0]).save(tmp_path / "out", overwrite=True)
    was = content(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="not empty"):
        reconstruct_series(model, Double(captures), tmp_path / "out")
    assert content(tmp_path / "out") == was
