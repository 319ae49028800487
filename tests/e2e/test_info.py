"""`fociscope info`: what a thing is, whether it is sound, and a contact sheet."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
import zarr
from PIL import Image

from fociscope.files import read_images_depth, write_images_depth
from fociscope.files.safe.records import write_record
from fociscope.imager import Imager, MeasuredPsf
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "d"
    write_dataset(folder, DatasetPlan(files=2, samples=3, seed=7), workers=1)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "d")


def test_a_sound_set_with_a_contact_sheet(fociscope, folder, tmp_path):
    ran = fociscope("info", folder, "-o", tmp_path / "sheet.png")
    assert ran.code == 0, ran.err
    for word in ("images-depth", "seed 7", "2 x 3", "1.mat", "2.mat", "holds", "µm"):
        assert word in ran.out
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    assert min(pixels.shape) > 500
    assert pixels.std() > 20


def test_sensor_images_beside_their_layers_are_said_to_be(fociscope, made, tmp_path):
    """As another program's files, whose kernels have their peak beside the middle."""
    data = read_images_depth(made / "1.mat")
    moved = replace(data, captures=np.roll(data.captures, (-1, -1), axis=(-2, -1)))
    write_images_depth(tmp_path / "theirs.mat", moved)
    ran = fociscope("info", tmp_path / "theirs.mat")

    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.out.splitlines() if "Displacement" in line]
    shifts = [float(word) for word in line.split() if word[0] in "+-"]
    assert shifts == pytest.approx([-1.0] * 4, abs=0.05)


def test_without_an_output_nothing_is_written(fociscope, folder):
    before = sorted(folder.iterdir())
    assert fociscope("info", folder).code == 0
    assert sorted(folder.iterdir()) == before


def test_an_existing_sheet_is_kept(fociscope, folder, tmp_path):
    (tmp_path / "sheet.png").write_bytes(b"mine")
    assert fociscope("info", folder, "-o", tmp_path / "sheet.png").code == 1
    assert (tmp_path / "sheet.png").read_bytes() == b"mine"


def damage(folder):
    content = bytearray((folder / "2.mat").read_bytes())
    content[1000] ^= 1
    (folder / "2.mat").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (damage, "2.mat is damaged"),
        (lambda folder: (folder / "1.mat").unlink(), "1.mat is missing"),
        (lambda folder: (folder / "9.mat").touch(), "9.mat not of this set"),
    ],
)
def test_what_is_wrong_with_a_set_is_named(fociscope, folder, change, says):
    change(folder)
    ran = fociscope("info", folder)
    assert ran.code == 1
    assert says in ran.err
    assert ran.err.count("\n") == 1


def replace_in_record(folder: Path, old: str, new: str) -> None:
    """Change a record whose checksum holds all the same."""
    record = folder / "dataset.json"
    values = json.loads(record.read_text().replace(old, new))
    write_record(record, values, overwrite=True)


def test_an_interrupted_set_is_named(fociscope, folder):
    replace_in_record(folder, '"files": 2', '"files": 3')
    ran = fociscope("info", folder)
    assert ran.code == 1
    assert "3.mat not made yet" in ran.err


def test_a_damaged_description_is_one_line(fociscope, folder):
    for content in ("{", "[]", '{"format": "fociscope-dataset", "format_version": 2}', "{}"):
        (folder / "dataset.json").write_text(content)
        ran = fociscope("info", folder)
        assert ran.code == 1
        assert ran.err.count("\n") == 1


def test_a_recorded_name_cannot_leave_the_folder(fociscope, folder):
    replace_in_record(folder, '"1.mat"', '"../1.mat"')
    ran = fociscope("info", folder)
    assert ran.code == 1
    assert "files.0.name" in ran.err


@pytest.mark.parametrize("suffix", [".mat", ".h5", ".zarr"])
def test_one_file_of_the_layout(fociscope, folder, tmp_path, suffix):
    path = tmp_path / f"some{suffix}"
    write_images_depth(path, read_images_depth(folder / "1.mat"))
    ran = fociscope("info", path, "-o", tmp_path / "sheet.png")
    assert ran.code == 0, ran.err
    assert "3 sample(s)" in ran.out
    assert "tumorImage_noPSF: 3 x 4 x 51 x 51" in ran.out
    assert (tmp_path / "sheet.png").is_file()


def test_a_folder_of_others_files(fociscope, folder):
    (folder / "dataset.json").unlink()
    ran = fociscope("info", folder)
    assert ran.code == 0, ran.err
    assert "no checksums" in ran.out
    assert ran.out.count("published layout") == 2


def test_an_imager_an_image_and_a_model(fociscope, tmp_path):
    Imager.reference().with_(pixel_pitch_um=40.0).to_toml(tmp_path / "imager.toml")
    described = fociscope("info", tmp_path / "imager.toml").out
    assert "40 µm" in described
    assert "18.0 degrees in tissue (n = 1.38), as stated; 25.2 degrees in air" in described
    np.save(tmp_path / "a.npy", np.full((4, 6), 3.0))
    assert "4 x 6" in fociscope("info", tmp_path / "a.npy").out
    ran = fociscope("info", "layers-ab")
    assert "4 layer(s), at most 6" in ran.out
    assert "9 … 30 degrees" in ran.out
    assert "Not a medical device" in ran.out  # the card


def test_kernels_and_their_checksum(fociscope, tmp_path):
    chip, stack = tmp_path / "chip.toml", np.full((2, 3, 3), 0.1)
    Imager(psf=MeasuredPsf.from_stack(stack, [0.0, 1000.0], 55.0)).to_toml(chip)
    assert "chip.psf.ome.tif, checksum holds" in fociscope("info", chip).out
    lines = chip.read_text().splitlines()
    chip.write_text("\n".join(line for line in lines if "sha256" not in line))
    assert "chip.psf.ome.tif, no checksum is stated" in fociscope("info", chip).out


@pytest.mark.parametrize("place", [".overwriting/waiting", ".before-overwriting"])
def test_an_overwriting_that_was_killed_is_named(fociscope, tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    ran = fociscope("info", tmp_path)
    assert "the next command that writes here puts it in order" in " ".join(ran.out.split())


FRAMES = np.arange(3 * 2 * 9 * 11, dtype=np.uint16).reshape(3, 2, 9, 11)
"""(frame, sensor, y, x)."""
TCYX = {"axes": "TCYX"}


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file["captures"] = FRAMES


@pytest.mark.parametrize(
    ("name", "write", "inside"),
    [
        ("a.ome.tif", lambda p: tifffile.imwrite(p, FRAMES, ome=True, metadata=TCYX), ""),
        ("a.tif", lambda p: tifffile.imwrite(p, FRAMES, imagej=True, metadata=TCYX), ""),
        ("a.h5", write_hdf5, ""),
        ("a.h5", write_hdf5, ":/captures"),
        ("a.mat", lambda p: scipy.io.savemat(p, {"captures": FRAMES.transpose(2, 3, 1, 0)}), ""),
        ("a.zarr", lambda p: zarr.save_array(p, FRAMES), ""),
    ],
)  # fmt: skip
def test_captures_of_any_kind(fociscope, tmp_path, name, write, inside):
    write(tmp_path / name)
    ran = fociscope("info", f"{tmp_path / name}{inside}")
    assert ran.code == 0, ran.err
    assert "3 frame(s) of sensors A and B, 9 x 11 pixels" in ran.out
    assert f"0 … {FRAMES.max()}, mean {FRAMES.mean():.4g}" in ran.out


def test_raw_counts_and_the_imager_that_says_their_layout(fociscope, tmp_path):
    chip = tmp_path / "chip.toml"
    Imager(frame_px=(2, 6), sensors=1, layout="serpentine").to_toml(chip)
    np.save(tmp_path / "raw.npy", np.arange(60.0).reshape(5, 12))
    ran = fociscope("info", tmp_path / "raw.npy", "--imager", chip)
    assert ran.code == 0, ran.err
    assert "5 frame(s) of sensor A alone, 2 x 6 pixels" in ran.out
    assert "serpentine" in fociscope("info", chip).out


def test_folders_and_patterns_of_images(fociscope, tmp_path):
    for number in range(3):
        for sensor in "AB":
            np.save(tmp_path / f"x{number}_{sensor}.npy", FRAMES[0, 0])
    for given in (tmp_path, tmp_path / "x*.npy"):
        ran = fociscope("info", given)
        assert ran.code == 0, ran.err
        assert "3 frame(s) of sensors A and B" in ran.out


def test_a_recipe_and_a_run(fociscope, tmp_path):
    recipe = resources.files("fociscope.training") / "recipes" / "layers-ab.toml"
    (tmp_path / "mine.toml").write_text(recipe.read_text())
    ran = fociscope("info", tmp_path / "mine.toml")
    assert ran.code == 0, ran.err
    assert "layers-ab" in ran.out
    assert "steps of" in ran.out
    run = tmp_path / "run"
    (run / "curves").mkdir(parents=True)
    (run / "recipe.toml").write_text(recipe.read_text())
    (run / "curves" / "metrics.csv").write_text("step,val/accuracy\n500,0.9\n1000,0.95\n15")
    ran = fociscope("info", run)
    assert ran.code == 0, ran.err
    assert "step 1000, pixel accuracy 95.0 %" in ran.out
    assert "not exported yet" in ran.out


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml", "nowhere.safetensors"])
def test_what_is_not_there_is_one_line(fociscope, tmp_path, name):
    ran = fociscope("info", tmp_path / name)
    assert ran.code == 1
    assert ran.err.count("\n") == 1


def test_a_sheet_needs_samples(fociscope, tmp_path):
    ran = fociscope("info", "layers-ab", "-o", tmp_path / "sheet.png")
    assert ran.code == 1
    assert "no samples" in ran.err
    assert not (tmp_path / "sheet.png").exists()
