"""Stacks and depths from files: TIFF, OME-TIFF, NPY, MAT, tables."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
import zarr

from fociscope.calibration import MeasuredStack, read_depths, read_stack
from fociscope.errors import FileFormatError, ImagerError
from fociscope.files import write_ome_tiff

DEPTH_UM = [50.0, 150.0, 250.0]
PLANES = np.random.default_rng(0).integers(0, 4000, (3, 7, 9)).astype(np.uint16)


def test_numbers_with_commas() -> None:
    assert read_depths("50, 150,250").tolist() == DEPTH_UM
    assert read_depths("50").tolist() == [50]


@pytest.mark.parametrize(
    "text",
    ["50\n150\n250\n", "depth_um\n50\n150\n250\n", "plane,depth_um\n1,50\n2,150\n3,250\n"],
)
def test_tables(tmp_path: Path, text: str) -> None:
    path = tmp_path / "depths.csv"
    path.write_text(text)
    assert read_depths(path).tolist() == DEPTH_UM


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2\n", "several columns"),
        ("depth_um\n50\nfar\n", "'far'"),
        ("depth_um\n50\nnan\n", "finite"),
        ("depth_um\n", "finite depths"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "depths.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=word):
        read_depths(path)


def test_tiff_and_npy_hold_depth_first(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", PLANES, photometric="minisblack")
    np.save(tmp_path / "s.npy", PLANES)
    for name in ("s.tif", "s.npy"):
        stack = read_stack(tmp_path / name, depth_um=DEPTH_UM)
        assert np.array_equal(stack.counts[0], PLANES)
        assert stack.depth_um.tolist() == DEPTH_UM


def test_planes_come_in_order_of_depth(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", PLANES)
    stack = read_stack(tmp_path / "s.npy", depth_um=[250, 50, 150])
    assert stack.depth_um.tolist() == DEPTH_UM
    assert np.array_equal(stack.counts[0], PLANES[[1, 2, 0]])


def test_both_sensors_in_one_npy_or_in_two_files(tmp_path: Path) -> None:
    pair = np.stack([PLANES, PLANES + 1], axis=1)
    np.save(tmp_path / "ab.npy", pair)
    np.save(tmp_path / "a.npy", pair[:, 0])
    np.save(tmp_path / "b.npy", pair[:, 1])
    one = read_stack(tmp_path / "ab.npy", depth_um=DEPTH_UM)
    two = read_stack(tmp_path / "a.npy", sensor_b=tmp_path / "b.npy", depth_um=DEPTH_UM)
    assert one.counts.shape == (2, 3, 7, 9)
    assert np.array_equal(one.counts, two.counts)


def test_ome_tiff_names_depths_and_pitch(tmp_path: Path) -> None:
    path = tmp_path / "s.ome.tif"
    write_ome_tiff(path, PLANES, pixel_pitch_um=40, depth_um=DEPTH_UM, channel_name="beads")
    stack = read_stack(path)
    assert stack.depth_um.tolist() == DEPTH_UM
    assert stack.pixel_pitch_um == pytest.approx(40)


@pytest.mark.parametrize("last", [False, True])
def test_mat_v5_with_depth_first_or_last(tmp_path: Path, last: bool) -> None:
    path = tmp_path / "s.mat"
    array = np.moveaxis(PLANES, 0, -1) if last else PLANES
    scipy.io.savemat(path, {"beads": array, "depth_um": DEPTH_UM, "note": "text"})
    stack = read_stack(path)
    assert np.array_equal(stack.counts[0], PLANES)
    assert stack.depth_um.tolist() == DEPTH_UM


def test_mat_v73(tmp_path: Path) -> None:
    path = tmp_path / "s.mat"
    with h5py.File(path, "w") as file:
        file["beads"] = PLANES
        file["depth_um"] = DEPTH_UM
    assert np.array_equal(read_stack(path).counts[0], PLANES)


def test_a_mat_file_with_two_stacks_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "s.mat"
    scipy.io.savemat(path, {"beads": PLANES, "dark": PLANES * 0})
    with pytest.raises(FileFormatError, match=r"beads, dark.*variable="):
        read_stack(path, depth_um=DEPTH_UM)
    stack = read_stack(path, depth_um=DEPTH_UM, variable="beads")
    assert np.array_equal(stack.counts[0], PLANES)
    with pytest.raises(FileFormatError, match="no variable 'bead'"):
        read_stack(path, depth_um=DEPTH_UM, variable="bead")


def test_a_mat_file_whose_depth_axis_is_unclear_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.mat"
    scipy.io.savemat(path, {"beads": np.ones((3, 8, 3))})
    with pytest.raises(FileFormatError, match="either the first or the last"):
        read_stack(path, depth_um=DEPTH_UM)


def test_depths_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", PLANES)
    with pytest.raises(ImagerError, match=r"3 plane\(s\) but 2 depth"):
        read_stack(tmp_path / "s.npy", depth_um=[50, 150])
    with pytest.raises(ImagerError, match="names no depths"):
        read_stack(tmp_path / "s.npy")
    with pytest.raises(ImagerError, match="from 0 µm"):
        read_stack(tmp_path / "s.npy", depth_um=[-50, 150, 250])
    with pytest.raises(ImagerError, match="at most 20000"):
        read_stack(tmp_path / "s.npy", depth_um=[50, 150, 250_000])


def test_sensors_that_differ_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PLANES)
    np.save(tmp_path / "b.npy", PLANES[:, :-1])
    with pytest.raises(FileFormatError, match=r"3 x 7 x 9 .* 3 x 6 x 9"):
        read_stack(tmp_path / "a.npy", sensor_b=tmp_path / "b.npy", depth_um=DEPTH_UM)


def test_a_pixel_that_is_no_number_is_named() -> None:
    counts = np.ones((1, 3, 7, 9))
    counts[0, 1, 2, 4] = np.nan
    with pytest.raises(FileFormatError, match=r"sensor A: pixel \(y 2, x 4\) of plane 2"):
        MeasuredStack(counts, np.array(DEPTH_UM))


@pytest.mark.parametrize("unit", ["um", "\u00b5m", "\u03bcm"])
def test_depths_of_an_ome_tiff_in_any_spelling_of_um(tmp_path: Path, unit: str) -> None:
    plane = {"PositionZ": list(DEPTH_UM), "PositionZUnit": [unit] * 3}
    metadata = {"axes": "ZYX", "Plane": plane}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PLANES.astype(np.float32), metadata=metadata, ome=True)
    assert read_stack(path).depth_um.tolist() == list(DEPTH_UM)


def test_messages_name_a_file_whole_however_long_its_folder_is(tmp_path: Path) -> None:
    path = tmp_path / ("a_long_folder" * 12) / "depths.csv"
    path.parent.mkdir()
    path.write_text("depth_um\nnan\n")
    with pytest.raises(FileFormatError) as caught:
        read_depths(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("depth_um\n12,5\n37,5\n", [12.5, 37.5]),
        ("plane;depth_um\n1;12,5\n2;1000,25\n", [12.5, 1000.25]),
        ("plane\tz (mm)\n1\t0,05\n2\t0.2\n", [50, 200]),
        ("depth_mm\n0.05\n0.2\n", [50, 200]),
        ("Depth [\u00b5m],note\n50,near\n200,far\n", [50, 200]),
        ("depth_um\n50,\n200,\n", [50, 200]),
        ("depth\n0.05 mm\n200 um\n", [50, 200]),
        ("depth_mm\n0,05\n200 \u00b5m\n", [50, 200]),
        ("z (nm)\n50000\n2e5\n", [50, 200]),
        ("sep=;\ndepth_um;note\n50;near\n200;far\n", [50, 200]),
    ],
)
def test_tables_of_spreadsheets(tmp_path: Path, text: str, expected: list[float]) -> None:
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    np.testing.assert_allclose(read_depths(tmp_path / "d.csv"), expected)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("depth_um\n850\n900\n1,000\n", "thousands or a decimal comma"),
        ("plane,depth_um\n1,12,5\n2,37,5\n", "3 cells, expected 2"),
        ("plane,z\n1,50\n2,150\n", "no unit"),
        ("depth\n50\n150\n", "no unit"),
        ("depth\n0.05 mm\n150\n", "no unit"),
        ("depth_um\n900\n1.000\n1.050\n", "can mean thousands"),
        ("depth_um\nplane 1\nplane 2\n", "'plane 1'"),
        ("plane\n1\n2\n", "'plane'.*above the first"),
    ],
)
def test_tables_that_can_be_meant_in_two_ways(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(FileFormatError, match=word):
        read_depths(tmp_path / "d.csv")


@pytest.mark.parametrize("upside_down", [False, True])
def test_planes_and_positions_of_an_ome_tiff_by_their_numbers(
    tmp_path: Path, upside_down: bool
) -> None:
    """Pages from the deepest plane up, or `Plane` elements from the last to the first."""
    order = [2, 1, 0]
    pages, elements = (order, [0, 1, 2]) if upside_down else ([0, 1, 2], order)
    text = "".join(
        f'<TiffData FirstZ="{z}" IFD="{i}" PlaneCount="1"/>' for i, z in enumerate(pages)
    )
    text += "".join(
        f'<Plane TheZ="{z}" TheC="0" TheT="0" PositionZ="{DEPTH_UM[z]}"/>' for z in elements
    )
    xml = (
        '<OME><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        f'SizeX="9" SizeY="7" SizeZ="3" SizeC="1" SizeT="1">{text}</Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "s.ome.tif", PLANES[pages], description=xml, metadata=None,
                     photometric="minisblack")  # fmt: skip
    stack = read_stack(tmp_path / "s.ome.tif")
    assert np.array_equal(stack.counts[0], PLANES)
    assert stack.depth_um.tolist() == DEPTH_UM
    assert "no unit" in " ".join(stack.notes)
    stated = read_stack(tmp_path / "s.ome.tif", depth_um=[60, 160, 260])
    assert np.array_equal(stated.counts[0], PLANES)
    assert stated.notes == ()


@pytest.mark.parametrize("axis", ["Z", "T"])
def test_both_sensors_as_channels_of_one_ome_tiff(tmp_path: Path, axis: str) -> None:
    pair = np.stack([PLANES, PLANES + 1], axis=1)
    tifffile.imwrite(tmp_path / "ab.ome.tif", pair, ome=True, metadata={"axes": f"{axis}CYX"})
    stack = read_stack(tmp_path / "ab.ome.tif", depth_um=DEPTH_UM)
    assert np.array_equal(stack.counts, pair.swapaxes(0, 1))


def test_depths_of_a_mat_file_in_mm_and_without_a_unit(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"beads": PLANES, "depth_mm": [0.05, 0.15, 0.25]})
    np.testing.assert_allclose(read_stack(tmp_path / "a.mat").depth_um, DEPTH_UM)
    scipy.io.savemat(tmp_path / "b.mat", {"beads": PLANES, "z": DEPTH_UM})
    stack = read_stack(tmp_path / "b.mat")
    assert stack.depth_um.tolist() == DEPTH_UM
    assert "'z' state no unit" in " ".join(stack.notes)


@pytest.mark.parametrize("kind", ["h5", "mat", "npz", "zarr", "named.h5", "path.h5"])
def test_both_sensors_in_a_file_of_arrays(tmp_path: Path, kind: str) -> None:
    pair = np.stack([PLANES, PLANES + 1], axis=1)
    path = tmp_path / f"ab.{kind}"
    if kind == "mat":
        scipy.io.savemat(path, {"beads": pair.transpose(2, 3, 1, 0), "depth_um": DEPTH_UM})
    elif kind == "npz":
        np.savez(path, beads=pair, depth_um=DEPTH_UM)
    elif kind == "zarr":
        zarr.create_array(path, data=pair)
    else:
        with h5py.File(path, "w") as file:
            file["run/beads"] = pair.transpose(1, 0, 3, 2) if kind == "named.h5" else pair
            if kind == "named.h5":
                file["run/beads"].attrs["axes"] = ["camera", "z", "x", "y"]
            if kind == "path.h5":
                file["dark"] = PLANES
                path = Path(f"{path}:/run/beads")
    depths = None if kind in ("mat", "npz") else DEPTH_UM
    stack = read_stack(path, depth_um=depths)
    assert np.array_equal(stack.counts, pair.swapaxes(0, 1))
    assert stack.depth_um.tolist() == DEPTH_UM


def test_an_array_that_states_its_pixels_and_what_its_numbers_stand_for(tmp_path: Path) -> None:
    planes = PLANES + 40_000
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["beads"] = planes.view(np.int16)
        file["beads"].attrs.update({"_Unsigned": "true", "pixel_size_um": 40.0})
    stack = read_stack(tmp_path / "a.h5", depth_um=DEPTH_UM)
    assert np.array_equal(stack.counts[0], planes)
    assert stack.pixel_pitch_um == 40


@pytest.mark.parametrize("text", ["50um,150um", "12,5;37,5", "50 150", "plane 3", "0.05mm,0.2mm"])
def test_texts_that_are_no_depths(text: str) -> None:
    with pytest.raises(FileFormatError, match="neither a file nor depths"):
        read_depths(text)
