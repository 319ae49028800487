from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from fociscope.errors import OutputExistsError
from fociscope.files import read_image, read_pixel_size_um, write_ome_tiff

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def pixels_of(path: Path) -> ElementTree.Element:
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        pixels = ElementTree.fromstring(tiff.ome_metadata or "").find(f".//{OME}Pixels")
    assert pixels is not None
    return pixels


def test_layers_carry_pitch_and_depths(tmp_path: Path) -> None:
    path = tmp_path / "probability.ome.tif"
    layers = np.random.default_rng(0).random((3, 5, 6), dtype=np.float32)
    write_ome_tiff(
        path, layers, pixel_pitch_um=55, depth_um=[100.5, 361, 592], channel_name="P & <cells>"
    )
    pixels = pixels_of(path)
    assert [pixels.get(f"Size{axis}") for axis in "XYZCT"] == ["6", "5", "3", "1", "1"]
    for axis in "XY":
        assert float(pixels.get(f"PhysicalSize{axis}", "")) == 55.0
        assert pixels.get(f"PhysicalSize{axis}Unit") == "µm"
    assert pixels.get("PhysicalSizeZ") is None
    channel = pixels.find(f"{OME}Channel")
    assert channel is not None
    assert channel.get("Name") == "P & <cells>"
    planes = pixels.findall(f"{OME}Plane")
    assert [float(plane.get("PositionZ", "")) for plane in planes] == [100.5, 361.0, 592.0]
    assert {plane.get("PositionZUnit") for plane in planes} == {"µm"}
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "ZYX"
        assert tiff.series[0].dtype == np.float32
    np.testing.assert_array_equal(read_image(path), layers)
    assert read_pixel_size_um(path) == 55.0


def test_programs_without_ome_xml_find_the_pitch(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    layers = np.zeros((2, 4, 5), np.float32)
    write_ome_tiff(path, layers, pixel_pitch_um=7.4, depth_um=[1, 3], channel_name="light")
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        per_cm, unit = tags["XResolution"].value, tags["ResolutionUnit"].value
    assert unit == tifffile.RESUNIT.CENTIMETER
    assert 1e4 * per_cm[1] / per_cm[0] == pytest.approx(7.4, rel=1e-6)


def test_time_series_have_depths_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    depth = np.array([[100, 350], [200, 500], [300, 900.25]])
    layers = np.arange(3 * 2 * 4 * 4, dtype=np.float32).reshape(3, 2, 4, 4)
    write_ome_tiff(path, layers, pixel_pitch_um=55.0, depth_um=depth, channel_name="intensity")
    found = {
        (int(plane.get("TheT", "")), int(plane.get("TheZ", ""))): float(plane.get("PositionZ", ""))
        for plane in pixels_of(path).findall(f"{OME}Plane")
    }
    assert found == {(t, z): depth[t, z] for t in range(3) for z in range(2)}
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "TZYX"
        np.testing.assert_array_equal(tiff.asarray(), layers)


def test_even_spacing_becomes_physical_size_z(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(
        path, np.zeros((3, 4, 4)), pixel_pitch_um=55, depth_um=[0, 250, 500], channel_name="x"
    )
    assert float(pixels_of(path).get("PhysicalSizeZ", "")) == 250.0
    assert pixels_of(path).get("PhysicalSizeZUnit") == "µm"


def test_same_content_gives_same_bytes(tmp_path: Path) -> None:
    for name in ("a.ome.tif", "b.ome.tif"):
        write_ome_tiff(
            tmp_path / name, np.ones((2, 3, 4)), pixel_pitch_um=55, depth_um=[1, 2],
            channel_name="x",
        )  # fmt: skip
    assert (tmp_path / "a.ome.tif").read_bytes() == (tmp_path / "b.ome.tif").read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        write_ome_tiff(path, np.ones((1, 3, 4)), pixel_pitch_um=55, depth_um=[1], channel_name="x")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("shape", "depth", "pitch"),
    [((4, 4), [1], 55), ((2, 4, 4), [1], 55), ((2, 4, 4), [1, np.nan], 55), ((1, 4, 4), [1], 0)],
)
def test_contradictions_are_refused(
    tmp_path: Path, shape: tuple[int, ...], depth: list[float], pitch: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_ome_tiff(
            tmp_path / "a.ome.tif", np.ones(shape), pixel_pitch_um=pitch, depth_um=depth,
            channel_name="x",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
