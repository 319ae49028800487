"""`fociscope simulate images-depth`: the published layout, the same bytes for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

SMALL = ("--files", 2, "--samples", 60, "--seed", 3)


def test_published_names_shapes_and_millimetres(fociscope, tmp_path):
    ran = fociscope("simulate", "images-depth", "-o", tmp_path / "d", *SMALL, "--workers", 1)
    assert ran.code == 0, ran.err
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["1.mat", "2.mat"]
    found = scipy.io.loadmat(tmp_path / "d" / "2.mat")
    assert found["tumorImage_noPSF"].shape == (60, 4, 51, 51)
    assert found["tumorImage_withPSF_A"].shape == (60, 51, 51)
    assert found["tumorImage_withPSF_B"].shape == (60, 51, 51)
    assert found["depth_map"].shape == (60, 4, 51, 51)
    depth_mm = found["zdist_PSF"]
    assert depth_mm.shape == (60, 4)
    assert (depth_mm >= 0).all()
    assert (depth_mm <= 1).all()
    assert (np.diff(depth_mm) >= 0.25 - 1e-6).all()
    in_layer = found["depth_map"].max(axis=(2, 3))
    assert in_layer == pytest.approx(depth_mm, abs=1e-6)


def test_same_seed_same_bytes_whatever_the_workers(fociscope, tmp_path):
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        ran = fociscope("simulate", "images-depth", "-o", folder, *SMALL, "--workers", workers)
        assert ran.code == 0, ran.err
    for name in ("1.mat", "2.mat"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1" / "1.mat").read_bytes() != (tmp_path / "1" / "2.mat").read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--layers", 6), "200 um"),
        (("--peak-snr-db", 90), "dB"),
        (("--imager", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_impossible_scenes_are_one_line_and_write_nothing(fociscope, tmp_path, options, says):
    ran = fociscope("simulate", "images-depth", "-o", tmp_path / "d", *SMALL, *options)
    assert ran.code == 1
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_existing_files_are_kept(fociscope, tmp_path):
    (tmp_path / "2.mat").write_bytes(b"mine")
    ran = fociscope("simulate", "images-depth", "-o", tmp_path, *SMALL)
    assert ran.code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["2.mat"]
    assert (tmp_path / "2.mat").read_bytes() == b"mine"
