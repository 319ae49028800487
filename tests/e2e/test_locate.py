"""`fociscope locate`: captures of a few emitters in, a table in 3D out; or one plain line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse
from fociscope.results import load_emitters, load_result
from fociscope.simulation import simulate
from fociscope.workflows import _locate
from fociscope.workflows._locating import Locating

FRAME_PX = (40, 40)
WRITTEN = {"emitters.csv", "frames.csv", "emitters.ome.tif", "summary.json", "figure.png"}


@pytest.fixture(scope="module")
def beads() -> np.ndarray:
    """Return (frame, sensor, y, x): one bead, then two."""
    response = EmitterResponse(Imager.reference(), FRAME_PX)
    images, _ = response(np.array([[900.0, 700.0, 350.0], [400.0, 1500.0, 640.0]]))
    frames = np.stack([images[0], images.sum(0)]).reshape(2, 2, *FRAME_PX)
    noise = np.random.default_rng(0).normal(0, 2e-6, frames.shape)
    return (1e6 * (frames + noise)).astype(np.float32)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_pair_becomes_a_table_in_3d(fociscope, beads, tmp_path: Path) -> None:
    for name, image in zip("ab", beads[0], strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
    ran = fociscope("locate", tmp_path / "a.tif", tmp_path / "b.tif", "-o", tmp_path / "out")

    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
    (bead,) = rows(tmp_path / "out" / "emitters.csv")
    assert float(bead["depth_um"]) == pytest.approx(350, abs=5)
    assert (float(bead["x_um"]), float(bead["y_um"])) == pytest.approx((900, 700), abs=3)
    assert "1 emitter(s)" in ran.out
    assert "the reference imager is taken" in ran.err


def test_a_bead_in_tissue_that_glows_unevenly(fociscope, beads, tmp_path: Path) -> None:
    y, x = np.mgrid[: FRAME_PX[0], : FRAME_PX[1]]
    glow = 20000 * np.exp(-((y - 10) ** 2 + (x - 25) ** 2) / 200)
    for name, image in zip("ab", beads[0], strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", (image + glow).astype(np.float32))
    captures = tmp_path / "a.tif", tmp_path / "b.tif"
    even = fociscope("locate", *captures, "-o", tmp_path / "even", "--most", "4")
    smooth = fociscope("locate", *captures, "-o", tmp_path / "out", "--background", "smooth")

    assert even.code == 1
    assert "a smooth background is to be asked for" in even.err
    assert "--background" in even.err
    assert smooth.code == 0, smooth.err
    (bead,) = rows(tmp_path / "out" / "emitters.csv")
    assert float(bead["depth_um"]) == pytest.approx(350, abs=10)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["background"] == "smooth"


def test_pairs_and_imager_are_shown_before_the_work(fociscope, beads, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for n, pair in enumerate(beads):
        for side, image in zip("AB", pair, strict=True):
            tifffile.imwrite(tmp_path / "run" / f"{n}_{side}.tif", image)
    ran = fociscope("locate", tmp_path / "run", "-o", tmp_path / "out")

    assert ran.code == 0, ran.err
    shown = ran.err.splitlines()
    assert shown[:4] == [
        "2 frame(s) of sensors A and B:",
        f"  {tmp_path / 'run' / '0_A.tif'} + {tmp_path / 'run' / '0_B.tif'}",
        f"  {tmp_path / 'run' / '1_A.tif'} + {tmp_path / 'run' / '1_B.tif'}",
        "Imager: reference.",
    ]
    assert [row["name"] for row in rows(tmp_path / "out" / "frames.csv")] == ["0_A.tif", "1_A.tif"]


def test_a_series_keeps_its_frames(fociscope, beads, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", beads)
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["emitters_per_frame"] == {"least": 1, "most": 2}
    found = rows(tmp_path / "out" / "emitters.csv")
    assert [row["frame"] for row in found] == ["1", "2", "2"]
    assert [row["emitters"] for row in rows(tmp_path / "out" / "frames.csv")] == ["1", "2"]


def test_the_rendering_shows_the_light_at_its_depth(fociscope, beads, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", beads[:1])
    fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out")

    volume = tifffile.imread(tmp_path / "out" / "emitters.ome.tif")
    plane, row, column = np.unravel_index(volume.argmax(), volume.shape)
    assert (50 * plane, 55 * row, 55 * column) == pytest.approx((350, 700, 900), abs=30)
    (bead,) = rows(tmp_path / "out" / "emitters.csv")
    assert volume.sum() == pytest.approx(float(bead["brightness"]), rel=1e-3)


def test_dense_tissue_is_refused_in_one_line(fociscope, tmp_path: Path) -> None:
    np.save(tmp_path / "tissue.npy", simulate(1, seed=0).captures)
    ran = fociscope("locate", tmp_path / "tissue.npy", "-o", tmp_path / "out", "--most", "8")

    assert ran.code == 1
    error = ran.err.strip().splitlines()[-1]
    assert "dense tissue is for fociscope.reconstruct" in error
    assert error.endswith("--imager, --model-error")
    assert not (tmp_path / "out").exists()


def test_a_long_series_of_tissue_is_refused_early(
    fociscope, beads, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(_locate, "MOST_UNEXPLAINED", 2)
    tissue = simulate(1, seed=0).captures[:, :, :40, :40]
    np.save(tmp_path / "series.npy", np.concatenate([tissue, tissue, beads]))
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--most", "3")

    assert ran.code == 1
    assert "6 of them leave" in ran.err
    assert not (tmp_path / "out").exists()


def test_captures_that_emitters_do_not_explain_are_named(fociscope, beads, tmp_path: Path) -> None:
    tissue = simulate(1, seed=0).captures[:, :, :40, :40]
    np.save(tmp_path / "series.npy", np.concatenate([tissue, beads]))
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--most", "3")

    assert ran.code == 0, ran.err
    assert "emitters do not explain 1 of 3 captures: frame 1; dense tissue" in ran.err
    assert [row["explained"] for row in rows(tmp_path / "out" / "frames.csv")] == ["0", "1", "1"]


def test_a_series_that_was_interrupted_goes_on_to_the_same_tables(
    fociscope, beads, tmp_path: Path, monkeypatch
) -> None:
    np.save(tmp_path / "series.npy", beads)
    locate = ["locate", tmp_path / "series.npy", "-o"]
    assert fociscope(*locate, tmp_path / "whole").code == 0
    located, calls = Locating.located, []

    def stops(self, captures):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return located(self, captures)

    with monkeypatch.context() as patch:
        patch.setattr(Locating, "located", stops)
        ran = fociscope(*locate, tmp_path / "out")
    assert ran.code == 130
    assert "--resume" in ran.err
    assert "1 frame(s) are certain; it is unfinished" in fociscope("info", tmp_path / "out").out
    with (tmp_path / "out" / "emitters.csv").open("a") as stream:
        stream.write("2,half a row")  # as a kill leaves it
    refused = fociscope(*locate, tmp_path / "out")
    assert refused.code == 1
    assert "--resume, --overwrite" in refused.err

    ran = fociscope(*locate, tmp_path / "out", "--resume")
    assert ran.code == 0, ran.err
    assert "3 emitter(s) in 2 captures, 1 of them now" in ran.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert fociscope(*locate, tmp_path / "out", "--resume").code == 0  # nothing is left to do
    other = fociscope(*locate, tmp_path / "out", "--resume", "--most", "7")
    assert other.code == 1
    assert "number of emitters at most (60, now 7)" in other.err


def test_emitters_that_stand_still_have_one_place_in_all_frames(
    fociscope, beads, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(0, 2, (4, *beads[0].shape))
    np.save(tmp_path / "series.npy", (beads[0] + noise).astype(np.float32))
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--joint")

    assert ran.code == 0, ran.err
    assert "1 in each capture" in ran.out
    found = rows(tmp_path / "out" / "emitters.csv")
    assert [row["frame"] for row in found] == ["1", "2", "3", "4"]
    assert len({(row["x_um"], row["y_um"], row["depth_um"]) for row in found}) == 1


@pytest.mark.parametrize("other", ["--track", "--watch"])
def test_a_joint_fit_is_of_a_series_that_is_there(
    fociscope, beads, tmp_path: Path, other: str
) -> None:
    np.save(tmp_path / "series.npy", beads)
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--joint", other)

    assert ran.code != 0
    assert "--joint" in ran.err
    assert not (tmp_path / "out").exists()


def test_tracks_go_through_the_frames(fociscope, beads, tmp_path: Path) -> None:
    pytest.importorskip("laptrack")
    np.save(tmp_path / "series.npy", beads)
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--track")

    assert ran.code == 0, ran.err
    assert "3 emitter(s) of 2 track(s) in 2 captures" in ran.out
    found = rows(tmp_path / "out" / "tracks.csv")
    assert [(row["track"], row["frame"]) for row in found] == [("1", "1"), ("1", "2"), ("2", "2")]
    assert [float(row["depth_um"]) for row in found] == pytest.approx([350, 350, 640], abs=5)


def test_the_speed_of_tracks_alone_is_refused(fociscope, beads, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", beads)
    ran = fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out", "--most-speed", "10")

    assert ran.code == 1
    assert "no tracks are asked for" in ran.err
    assert ran.err.strip().endswith("--track")


def test_pairs_are_located_as_they_come(fociscope, beads, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()

    def write(number: int, pair: np.ndarray) -> None:
        for side, image in zip("AB", pair, strict=True):
            tifffile.imwrite(folder / f"{number}_{side}.tif", image)

    write(1, beads[0])
    watch = ["locate", "--watch", folder, "-o", tmp_path / "out", "--idle", "0.3", "--json"]
    ran = fociscope(*watch)
    assert ran.code == 0, ran.err
    assert "Captures of sensors A and B." in ran.err
    frame, summary = map(json.loads, ran.out.splitlines())
    assert (frame["event"], frame["frame"], frame["name"]) == ("frame", 1, "1_A.tif")
    assert frame["emitters"][0]["depth_um"] == pytest.approx(350, abs=5)
    assert (summary["event"], summary["emitters"]) == ("summary", 1)

    write(2, beads[1])
    ran = fociscope(*watch[:-1], "--resume")
    assert ran.code == 0, ran.err
    assert "2 2_A.tif: 2 emitter(s) at " in ran.err
    assert "3 emitter(s) in 2 captures, 1 of them now" in ran.out
    assert [row["name"] for row in rows(tmp_path / "out" / "frames.csv")] == ["1_A.tif", "2_A.tif"]
    assert len(load_emitters(tmp_path / "out")) == 3


def test_a_missing_file_is_one_line(fociscope, tmp_path: Path) -> None:
    ran = fociscope("locate", tmp_path / "none.tif", "-o", tmp_path / "out")

    assert ran.code == 1
    assert "there is no such file" in ran.err
    assert not (tmp_path / "out").exists()


def test_what_was_located_is_described_and_is_no_map(fociscope, beads, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", beads)
    fociscope("locate", tmp_path / "series.npy", "-o", tmp_path / "out")

    assert "3 in 2 capture(s), located" in fociscope("info", tmp_path / "out").out
    with pytest.raises(FileFormatError, match=r"load_emitters, or emitters\.csv as a table"):
        load_result(tmp_path / "out")
