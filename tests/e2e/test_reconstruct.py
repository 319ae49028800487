"""`fociscope reconstruct`: files in, a layered map out; or one plain line and nothing."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from fociscope.files import ImagesDepth, write_images_depth
from fociscope.imager import Imager
from fociscope.simulation import Scenes, simulate

PUBLISHED = Path(__file__).parents[3] / "shared" / "published-sample"
IMAGES = {"probability.ome.tif", "intensity.ome.tif", "depth_map.ome.tif"}
ALL = IMAGES | {"frames.csv", "layers.csv", "foci.csv", "summary.json"}


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(3, seed=7)


def counts(image: np.ndarray) -> np.ndarray:
    return np.clip(image / image.max() * 60_000, 0, 65_535).astype(np.uint16)


def write(path: Path, image: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".png":
        Image.fromarray(counts(image)).save(path)
    else:
        tifffile.imwrite(path, counts(image))
    return path


@pytest.fixture
def pair(tmp_path: Path, scenes: Scenes) -> list[Path]:
    return [
        write(tmp_path / f"{s}.tif", image)
        for s, image in zip("ab", scenes.captures[0], strict=True)
    ]


def test_writes_maps_summary_and_figure(fociscope, pair, tmp_path):
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    assert {p.name for p in (tmp_path / "map").iterdir()} == ALL | {"figure.png"}


@pytest.mark.parametrize("name", ["c$_1", "shot\udcff\udce9"])
def test_files_may_have_any_name(fociscope, pair, tmp_path, name):
    try:
        named = [p.rename(tmp_path / f"{name}_{s}.tif") for p, s in zip(pair, "AB", strict=True)]
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    ran = fociscope("reconstruct", *named, "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    assert {p.name for p in (tmp_path / "map").iterdir()} == ALL | {"figure.png"}
    assert name.encode(errors="backslashreplace").decode() in ran.out


def test_map_is_right_on_most_pixels_and_depths_are_ordered(fociscope, pair, tmp_path, scenes):
    fociscope("reconstruct", *pair, "-o", tmp_path / "map")
    probability = tifffile.imread(tmp_path / "map" / "probability.ome.tif")
    assert ((probability > 0.5) == scenes.mask[0]).mean() > 0.85
    layers = json.loads((tmp_path / "map" / "summary.json").read_text())["captures"][0]["layers"]
    depth_um = np.array([layer["depth_um"] for layer in layers])
    assert (np.diff(depth_um) > 0).all()
    assert np.abs(depth_um - scenes.depth_um[0]).max() < 150


def test_ome_tiff_states_micrometres(fociscope, pair, tmp_path):
    fociscope("reconstruct", *pair, "-o", tmp_path / "map")
    with tifffile.TiffFile(tmp_path / "map" / "depth_map.ome.tif") as tif:
        assert tif.series[0].axes == "ZYX"
        assert tif.series[0].shape == (4, 51, 51)
        assert tif.series[0].dtype == np.float32
        root = ElementTree.fromstring(tif.ome_metadata)
        depth_map = tif.asarray()
    pixels = next(e for e in root.iter() if e.tag.endswith("Pixels"))
    assert float(pixels.get("PhysicalSizeX")) == float(pixels.get("PhysicalSizeY")) == 55.0
    planes = [e for e in root.iter() if e.tag.endswith("Plane")]
    summary = json.loads((tmp_path / "map" / "summary.json").read_text())["captures"][0]
    for plane, layer, image in zip(planes, summary["layers"], depth_map, strict=True):
        assert float(plane.get("PositionZ")) == pytest.approx(layer["depth_um"], abs=0.01)
        assert plane.get("PositionZUnit", "µm") == "µm"
        assert image[image > 0] == pytest.approx(layer["depth_um"], abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_reads_other_formats_alike(fociscope, pair, tmp_path, scenes, suffix):
    others = [
        write(tmp_path / f"{s}{suffix}", image)
        for s, image in zip("ab", scenes.captures[0], strict=True)
    ]
    exactly = ("--precision", "float32")
    fociscope("reconstruct", *pair, "-o", tmp_path / "tif", *exactly)
    assert fociscope("reconstruct", *others, "-o", tmp_path / "other", *exactly).code == 0
    one, two = (
        tifffile.imread(tmp_path / name / "probability.ome.tif") for name in ("tif", "other")
    )
    assert np.abs(one - two).max() < 0.02


def test_published_layout_in_and_out(fociscope, tmp_path, scenes):
    data = ImagesDepth(captures=scenes.captures, raw=scenes.layers, depth_um=scenes.depth_um)
    write_images_depth(tmp_path / "1.mat", data)
    ran = fociscope(
        "reconstruct", tmp_path / "1.mat", "-o", tmp_path / "map", "--format", "mat",
        "--format", "ome-tiff",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = scipy.io.loadmat(tmp_path / "map" / "reconstruction.mat")
    assert found["depth_map"].shape == (3, 4, 51, 51)
    assert np.abs(found["zdist_PSF"] * 1000 - scenes.depth_um).max() < 150  # mm on disk
    with tifffile.TiffFile(tmp_path / "map" / "probability.ome.tif") as tif:
        assert tif.series[0].axes == "TZYX"
        assert tif.series[0].shape == (3, 4, 51, 51)


def test_nothing_is_overwritten_unless_asked(fociscope, pair, tmp_path):
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "notes.txt").write_text("mine")
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "map")
    assert ran.code == 1
    assert [p.name for p in (tmp_path / "map").iterdir()] == ["notes.txt"]
    assert fociscope("reconstruct", *pair, "-o", tmp_path / "map", "--overwrite").code == 0
    assert (tmp_path / "map" / "notes.txt").read_text() == "mine"


def bad_pair(tmp_path: Path, name: str, image: np.ndarray) -> list[Path]:
    good = write(tmp_path / "good.npy", image)
    broken = tmp_path / "broken.npy"
    values = image.copy()
    if name == "NaN":
        values[3, 4] = np.nan
    elif name == "all zeros":
        values[:] = 0
    elif name == "2x2":
        return [write(tmp_path / f"{s}.npy", image[:2, :2]) for s in "ab"]
    elif name == "sizes differ":
        values = image[:40]
    elif name == "constant":
        values[:] = 3
    elif name == "missing":
        return [good, tmp_path / "nowhere.tif"]
    elif name == "text":
        broken = tmp_path / "broken.tif"
        broken.write_text("this is no image\n")
        return [good, broken]
    elif name == "empty TIFF":
        broken = tmp_path / "broken.tif"
        broken.write_bytes(b"II*\0\0\0\0\0")
        return [good, broken]
    elif name == "three sensors":
        np.save(tmp_path / "three.npy", np.stack([image] * 3)[None])
        return [tmp_path / "three.npy"]
    elif name == "sensor A alone":
        return [good, "--model", "layers-ab"]
    np.save(broken, values)
    return [good, broken]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "nowhere.tif"),
        ("text", "broken.tif"),
        ("empty TIFF", "broken.tif"),
        ("NaN", "sensor B"),
        ("all zeros", "sensor B holds no light"),
        ("constant", "same value in every pixel"),
        ("2x2", "2x2 pixels are too small"),
        ("sizes differ", "broken.npy"),
        ("three sensors", "3"),
        ("sensor A alone", "got 1"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(fociscope, tmp_path, scenes, name, says):
    files = bad_pair(tmp_path, name, scenes.captures[0, 0])
    before = sorted(p.name for p in tmp_path.iterdir())
    ran = fociscope("reconstruct", *files, "-o", tmp_path / "map")
    assert ran.code == 1
    assert ran.out == ""
    # The pairs are listed before the work begins.
    (error,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert ran.err.endswith(f"{error}\n")
    assert "Traceback" not in ran.err
    assert says in error
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_an_imager_of_another_pitch_and_gap_gives_depths_within_its_gap(fociscope, pair, tmp_path):
    Imager(pixel_pitch_um=40, gap_um=700).to_toml(tmp_path / "other.toml")
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "m", "--imager", tmp_path / "other.toml")
    assert ran.code == 0
    assert "outside" not in ran.err
    (capture,) = json.loads((tmp_path / "m" / "summary.json").read_text())["captures"]
    depths = [layer["depth_um"] for layer in capture["layers"]]
    assert depths == sorted(depths)
    assert 500 < depths[-1] <= 700


def test_an_imager_outside_the_family_is_warned_of(fociscope, pair, tmp_path):
    (tmp_path / "wide.toml").write_text("[psf]\nhalf_angle_deg = 40\n")
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "m", "--imager", tmp_path / "wide.toml")
    assert ran.code == 0
    assert "warning" in ran.err
    assert "outside" in ran.err
    assert "pixels" in ran.err


def test_more_layers_can_be_looked_for(fociscope, pair, tmp_path):
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "m", "--layers", 6)
    assert ran.code == 0
    (capture,) = json.loads((tmp_path / "m" / "summary.json").read_text())["captures"]
    assert len(capture["layers"]) == 6
    refused = fociscope("reconstruct", *pair, "-o", tmp_path / "n", "--layers", 7)
    assert refused.code != 0
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("model", ["nothing", "nothing.safetensors"])
def test_an_unknown_model_is_one_line(fociscope, pair, tmp_path, model):
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "m", "--model", model)
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert model in last
    assert "Traceback" not in ran.err


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published sample is not at hand")
def test_a_pair_that_nobody_here_simulated(fociscope, tmp_path):
    pair = PUBLISHED / "sensor_a.tif", PUBLISHED / "sensor_b.tif"
    ran = fociscope("reconstruct", *pair, "-o", tmp_path / "map")
    assert ran.code == 0, ran.err
    (found,) = json.loads((tmp_path / "map" / "summary.json").read_text())["captures"]
    depth_um = np.array([layer["depth_um"] for layer in found["layers"]])
    assert (np.diff(depth_um) > 150).all()
    assert all(0.05 < layer["coverage"] < 0.6 for layer in found["layers"])
    assert max(found["self_check_residual"].values()) < 0.3
