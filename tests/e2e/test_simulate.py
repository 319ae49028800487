"""`fociscope simulate`: the published layout, the same bytes for the same seed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from fociscope.files import read_images_depth

SMALL = ("--files", 2, "--samples", 60, "--seed", 3)
TINY = ("--files", 2, "--samples", 3, "--seed", 3, "--workers", 1)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_published_names_shapes_and_millimetres(fociscope, tmp_path):
    ran = fociscope("simulate", "images-depth", "-o", tmp_path / "d", *TINY)
    assert ran.code == 0, ran.err
    assert names(tmp_path / "d") == ["1.mat", "2.mat", "dataset.json"]
    found = scipy.io.loadmat(tmp_path / "d" / "2.mat")
    assert found["tumorImage_noPSF"].shape == (3, 4, 51, 51)
    assert found["tumorImage_withPSF_A"].shape == (3, 51, 51)
    assert found["tumorImage_withPSF_B"].shape == (3, 51, 51)
    assert found["depth_map"].shape == (3, 4, 51, 51)
    depth_mm = found["zdist_PSF"]
    assert depth_mm.shape == (3, 4)
    assert (depth_mm >= 0).all()
    assert (depth_mm <= 1).all()
    assert (np.diff(depth_mm) >= 0.25 - 1e-6).all()
    in_layer = found["depth_map"].max(axis=(2, 3))
    assert in_layer == pytest.approx(depth_mm, abs=1e-6)


def test_one_layer_seen_by_sensor_a_alone(fociscope, tmp_path):
    ran = fociscope("simulate", "single-layer", "-o", tmp_path / "d", *TINY)
    assert ran.code == 0, ran.err
    found = scipy.io.loadmat(tmp_path / "d" / "1.mat")
    assert found["tumorImage_noPSF"].shape == (3, 1, 51, 51)
    assert found["tumorImage_withPSF_A"].shape == (3, 51, 51)
    assert found["zdist_PSF"].shape == (3, 1)
    assert "tumorImage_withPSF_B" not in found
    assert read_images_depth(tmp_path / "d" / "1.mat").captures.shape == (3, 1, 51, 51)


@pytest.mark.parametrize("file_format", ["mat73", "hdf5", "zarr"])
def test_every_format_holds_the_same(fociscope, tmp_path, file_format):
    first = None
    for chosen in ("mat5", file_format):
        folder = tmp_path / chosen
        ran = fociscope("simulate", "images-depth", "-o", folder, *TINY, "--format", chosen)
        assert ran.code == 0, ran.err
        (path,) = folder.glob("2.*")
        data = read_images_depth(path)
        first = first or data
        for name in ("captures", "raw", "depth_map_um", "depth_um"):
            np.testing.assert_array_equal(getattr(data, name), getattr(first, name))


def test_same_seed_same_bytes_whatever_the_workers(fociscope, tmp_path):
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        ran = fociscope("simulate", "images-depth", "-o", folder, *SMALL, "--workers", workers)
        assert ran.code == 0, ran.err
    for name in ("1.mat", "2.mat", "dataset.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1" / "1.mat").read_bytes() != (tmp_path / "1" / "2.mat").read_bytes()


def test_dataset_json_says_what_the_set_depends_on(fociscope, tmp_path):
    folder = tmp_path / "d"
    imager = tmp_path / "imager.toml"
    imager.write_text('name = "mine"\ngap_um = 900.0\n')
    ran = fociscope(
        "simulate", "images-depth", "-o", folder, *TINY, "--imager", imager, "--layers", 3,
        "--specimen", "single-cells",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    record = json.loads((folder / "dataset.json").read_text())
    assert record["plan"]["seed"] == 3
    assert record["plan"]["imager"]["gap_um"] == 900
    assert record["plan"]["specimen"]["kind"] == "single-cells"
    assert {"fociscope", "torch", "numpy"} <= set(record["versions"])
    assert [file["first_scene"] for file in record["files"]] == [0, 3]
    data = [read_images_depth(folder / name) for name in ("1.mat", "2.mat")]
    deepest = max(float(part.depth_um.max()) for part in data)
    assert record["statistics"]["depth_um_max"] == pytest.approx(deepest)
    coverage = np.mean([(part.depth_map_um > 0).mean() for part in data])
    assert record["statistics"]["coverage_mean"] == pytest.approx(coverage)
    peak = max(float(part.captures.max()) for part in data)
    assert record["statistics"]["capture_peak"] == pytest.approx(peak)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--layers", 6), "200 µm"),
        (("--peak-snr-db", 90), "dB"),
        (("--imager", "nowhere.toml"), "nowhere.toml"),
        (("--specimen", "nowhere"), "nowhere"),
    ],
)
def test_impossible_scenes_are_one_line_and_write_nothing(fociscope, tmp_path, options, says):
    ran = fociscope("simulate", "images-depth", "-o", tmp_path / "d", *SMALL, *options)
    assert ran.code == 1
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["2.mat", "dataset.json"])
def test_existing_files_are_kept(fociscope, tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    ran = fociscope("simulate", "images-depth", "-o", tmp_path, *SMALL)
    assert ran.code == 1
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_folder_that_is_a_file_is_refused(fociscope, tmp_path):
    (tmp_path / "d").touch()
    ran = fociscope("simulate", "images-depth", "-o", tmp_path / "d", *TINY)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
