"""`fociscope reconstruct` on series: prepared, long, interrupted, gone on with, as JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from fociscope.files.safe.records import read_record
from fociscope.series import series as module
from fociscope.simulation import Scenes, simulate

FRAMES = 6


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(FRAMES, seed=17)


@pytest.fixture
def folder(tmp_path, scenes) -> Path:
    (tmp_path / "run").mkdir()
    for n, pair in enumerate(scenes.captures):
        for side, image in zip("AB", pair, strict=True):
            tifffile.imwrite(tmp_path / "run" / f"{n:04}_{side}.tif", image.astype(np.float32))
    return tmp_path / "run"


@pytest.fixture
def short_parts(monkeypatch) -> None:
    monkeypatch.setattr(module, "LONG_FRAMES", 3)
    monkeypatch.setattr(module, "PART_FRAMES", 2)
    monkeypatch.setattr(module, "CHUNK_FRAMES", 2)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_pairs_are_shown_and_named_in_the_table(fociscope, folder, tmp_path) -> None:
    ran = fociscope("reconstruct", folder, "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    assert f"{FRAMES} frame(s) of sensors A and B:" in ran.err
    for n in range(FRAMES):
        assert f"  {folder / f'{n:04}_A.tif'} + {folder / f'{n:04}_B.tif'}\n" in ran.err
    names = [row["name"] for row in rows(tmp_path / "map" / "frames.csv")]
    assert names == [f"{n:04}_A.tif" for n in range(FRAMES)]
    summary = json.loads((tmp_path / "map" / "summary.json").read_text())
    assert len(summary["inputs"]) == 2 * FRAMES
    assert {"fociscope", "torch", "numpy", "python", "model_sha256", "imager_sha256"} <= set(
        summary
    )


def test_a_pattern_and_every_format(fociscope, folder, tmp_path) -> None:
    formats = [a for f in ("ome-zarr", "npz", "csv", "mat", "ome-tiff") for a in ("--format", f)]
    ran = fociscope("reconstruct", folder / "*.tif", "-o", tmp_path / "map", *formats)
    assert ran.code == 0, ran.err
    assert {p.name for p in (tmp_path / "map").iterdir()} >= {
        "reconstruction.ome.zarr", "reconstruction.npz", "reconstruction.mat", "foci.csv",
    }  # fmt: skip


def test_captures_are_flipped_cropped_and_averaged(fociscope, folder, tmp_path, scenes) -> None:
    turned = scenes.captures.reshape(3, 2, 2, 51, 51).mean(axis=1)[..., 2:50, 1:49]
    for n, pair in enumerate(scenes.captures):
        tifffile.imwrite(folder / f"{n:04}_B.tif", pair[1, :, ::-1].astype(np.float32))
    ran = fociscope(
        "reconstruct", folder, "-o", tmp_path / "map", "--flip-b", "x", "--crop", "2,1,48,48",
        "--average", 2, "--format", "npz",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    with np.load(tmp_path / "map" / "reconstruction.npz") as npz:
        np.testing.assert_allclose(npz["captures"], turned, rtol=1e-5)
    summary = json.loads((tmp_path / "map" / "summary.json").read_text())
    assert summary["preparation"]["average"] == 2


def test_info_says_what_a_result_is(fociscope, folder, tmp_path) -> None:
    fociscope("reconstruct", folder, "-o", tmp_path / "map", "--format", "csv")
    ran = fociscope("info", tmp_path / "map")
    assert ran.code == 0, ran.err
    for said in ("model layers-ab", f"Captures     {FRAMES}", "0000_A.tif", "foci.csv", "torch"):
        assert said in ran.out
    (tmp_path / "map" / "summary.json").write_text("[]")
    broken = fociscope("info", tmp_path / "map")
    assert broken.code == 1
    assert "not the summary" in broken.err


def test_json_alone_goes_to_stdout(fociscope, folder, tmp_path) -> None:
    ran = fociscope("reconstruct", folder, "-o", tmp_path / "map", "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == read_record(tmp_path / "map" / "summary.json", "a summary")


def test_a_long_series_is_written_in_parts(fociscope, folder, tmp_path, short_parts) -> None:
    ran = fociscope("reconstruct", folder, "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    assert "--resume" in ran.err
    assert {p.name for p in (tmp_path / "map").iterdir()} == {
        "reconstruction.ome.zarr", "frames.csv", "layers.csv", "foci.csv", "summary.json",
        "figure.png",
    }  # fmt: skip
    group = zarr.open_group(tmp_path / "map" / "reconstruction.ome.zarr", mode="r")
    assert group["0"].shape == (FRAMES, 3, 4, 51, 51)
    assert [row["name"] for row in rows(tmp_path / "map" / "frames.csv")][-1] == "0005_A.tif"
    refused = fociscope("reconstruct", folder, "-o", tmp_path / "other", "--format", "mat")
    assert refused.code == 1
    assert "part by part" in refused.err
    assert not (tmp_path / "other").exists()


def test_a_long_series_may_have_any_name(fociscope, folder, tmp_path, short_parts) -> None:
    ran = fociscope("reconstruct", folder.rename(tmp_path / "a$_1_b$"), "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    assert (tmp_path / "map" / "figure.png").exists()


def test_an_interrupted_series_says_how_to_go_on(
    fociscope, folder, tmp_path, short_parts, monkeypatch
) -> None:
    real, calls = module.reconstruct_frames, []

    def stops(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, "reconstruct_frames", stops)
    command = ["reconstruct", folder, "-o", tmp_path / "map"]
    ran = fociscope(*command)
    assert ran.code == 130
    assert "--resume" in ran.err
    assert len(rows(tmp_path / "map" / "frames.csv")) == 2
    assert "2 frame(s) are certain; it is unfinished" in fociscope("info", tmp_path / "map").out
    refused = fociscope(*command)
    assert refused.code == 1
    assert "2 frame(s)" in refused.err
    assert fociscope(*command, "--resume").code == 0
    assert len(rows(tmp_path / "map" / "frames.csv")) == FRAMES
    assert fociscope(*command, "--resume").code == 0  # nothing is left to do
    assert fociscope(*command, "--resume", "--overwrite").code == 1


def test_another_pixel_size_is_warned_of(fociscope, tmp_path, scenes) -> None:
    for size_um, warned in ((55.0, False), (40.0, True)):
        pair = []
        for side, image in zip("ab", scenes.captures[0], strict=True):
            pair.append(tmp_path / f"{side}{size_um:g}.ome.tif")
            sizes = {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
            tifffile.imwrite(pair[-1], image, metadata={"axes": "YX", **sizes})
        ran = fociscope("reconstruct", *pair, "-o", tmp_path / f"map{size_um:g}")
        assert ran.code == 0, ran.err
        assert ("state pixels of 40 µm" in ran.err) == warned
        assert ("--imager" in ran.err) == warned


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--crop", "1,2,3"], "crop"),
        (["--crop", "40,0,40,40"], "crop reaches"),
        (["--cell-diameter", "0"], "--cell-diameter"),
        (["--idle", "1"], "--watch"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    fociscope, folder, tmp_path, options, says
) -> None:
    ran = fociscope("reconstruct", folder, "-o", tmp_path / "map", *options)
    assert ran.code == 1
    assert says in ran.err
    assert not (tmp_path / "map").exists()
