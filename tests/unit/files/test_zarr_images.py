"""OME-Zarr images wherever they lie: versions 0.1 to 0.6, plates, collections, ZIP archives."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from fociscope.errors import FileFormatError
from fociscope.files import open_captures

FRAMES = np.arange(3 * 2 * 9 * 11, dtype=np.uint16).reshape(3, 2, 1, 9, 11)
"""(t, c, z, y, x)."""
SPACE = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
AXES = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}, *SPACE]


def scale(*steps: float, **more: Any) -> dict[str, Any]:
    """Return a transformation of NGFF."""
    return {"type": "scale", "scale": list(steps), **more}


def described(version: str) -> dict[str, Any]:
    """Return `multiscales` as a version of NGFF has it, for pixels of 55 um."""
    data_set: dict[str, Any] = {"path": "s0"}
    if version in ("0.1", "0.2"):
        return {"version": version, "datasets": [data_set]}
    if version == "0.3":
        return {"version": version, "axes": list("tczyx"), "datasets": [data_set]}
    steps = scale(1, 1, 1, 55, 55)
    if version != "0.6":
        data_set["coordinateTransformations"] = [steps]
        return {"version": version, "axes": AXES, "datasets": [data_set]}
    moved = {"type": "translation", "translation": [0, 0, 0, 27.5, 27.5]}
    ends = {"input": {"path": "s0"}, "output": {"name": "physical"}}
    data_set["coordinateTransformations"] = [
        {"type": "sequence", **ends, "transformations": [steps, moved]}
    ]
    systems = [{"name": "turned", "axes": AXES[::-1]}, {"name": "physical", "axes": AXES}]
    return {"coordinateSystems": systems, "datasets": [data_set]}


def write_image(store: Any, version: str = "0.4", about: dict[str, Any] | None = None) -> None:
    """Write one image, with a second, small resolution."""
    said = described(version) if about is None else about
    new = version in ("0.5", "0.6")
    attributes = {"ome": {"version": version, "multiscales": [said]}} if new else {
        "multiscales": [said]
    }  # fmt: skip
    group = zarr.open_group(store, mode="a", zarr_format=3 if new else 2)
    group.attrs.update(attributes)
    for name, array in (("s0", FRAMES), ("s1", FRAMES[..., ::4, ::4])):
        item = group.create_array(name, shape=array.shape, chunks=array.shape, dtype="u2")
        item[:] = array


def check(path: Path, pixel_um: float | None) -> None:
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[:, :, 0])
        assert series.pixel_size_um == pixel_um


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"])
def test_each_version(tmp_path: Path, version: str) -> None:
    write_image(tmp_path / "a.zarr", version)
    check(tmp_path / "a.zarr", 55.0 if version >= "0.4" else None)


def test_axes_that_a_transformation_exchanges_are_refused(tmp_path: Path) -> None:
    said = described("0.6")
    said["datasets"][0]["coordinateTransformations"] = [{"type": "mapAxis", "mapAxis": [1, 0]}]
    write_image(tmp_path / "a.zarr", "0.6", said)
    with (
        pytest.raises(FileFormatError, match="of the type 'mapAxis'"),
        open_captures([tmp_path / "a.zarr"]),
    ):
        pass


def test_an_unknown_version_without_axes_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", "0.4", {"version": "0.9", "datasets": [{"path": "s0"}]})
    with (
        pytest.raises(FileFormatError, match=r"OME-Zarr 0\.9 that names no axes"),
        open_captures([tmp_path / "a.zarr"]),
    ):
        pass


def test_a_unit_without_a_scale_is_no_pixel_size(tmp_path: Path) -> None:
    about = {"version": "0.4", "axes": AXES, "datasets": [{"path": "s0"}]}
    write_image(tmp_path / "a.zarr", "0.4", about)
    check(tmp_path / "a.zarr", None)


def test_a_scale_of_1_along_all_axes_is_a_filler(tmp_path: Path) -> None:
    data_set = {"path": "s0", "coordinateTransformations": [scale(1, 1, 1, 1, 1)]}
    about = {"version": "0.4", "axes": AXES, "datasets": [data_set]}
    write_image(tmp_path / "a.zarr", "0.4", about)
    check(tmp_path / "a.zarr", None)
    with open_captures([tmp_path / "a.zarr"]) as series:
        assert series.time_s is None
        assert "scale is 1 along all axes" in " ".join(series.notes)


def test_a_scale_of_another_length_leaves_the_pixels_readable(tmp_path: Path) -> None:
    said = described("0.4")
    said["coordinateTransformations"] = [scale(1.0, 55.0, 55.0)]
    write_image(tmp_path / "a.zarr", "0.4", said)
    check(tmp_path / "a.zarr", None)
    with open_captures([tmp_path / "a.zarr"]) as series:
        assert "3 numbers for 5 axes" in " ".join(series.notes)


@pytest.mark.parametrize(
    ("version", "inside", "is_folder"),
    [
        ("0.4", "", False),
        ("0.5", "", False),
        ("0.4", "B/3", False),
        ("0.5", "B/3/0/s0", False),
        ("0.4", "B/3/0", True),
        ("0.5", "B/3/0/s0", True),
    ],
)
def test_the_one_image_of_a_plate(
    tmp_path: Path, version: str, inside: str, is_folder: bool
) -> None:
    plate = tmp_path / "plate.zarr"
    zarr.open_group(plate, mode="w", zarr_format=3 if version == "0.5" else 2)
    write_image(plate / "B" / "3" / "0", version)
    if is_folder:
        check(plate / inside, 55.0)
    else:
        check(Path(f"{plate}:/{inside}") if inside else plate, 55.0)


def test_several_images_are_named_as_images(tmp_path: Path) -> None:
    root = tmp_path / "c.zarr"
    zarr.open_group(root, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for name in ("0", "1"):
        write_image(root / name)
    with (
        pytest.raises(FileFormatError, match=r"2 images .*\(0, 1\).*c\.zarr:/0\.$"),
        open_captures([root]),
    ):
        pass
    check(Path(f"{root}:/1"), 55.0)


def test_images_by_the_names_of_the_sensors_are_a_pair(tmp_path: Path) -> None:
    root = tmp_path / "c.zarr"
    zarr.open_group(root, mode="w", zarr_format=2)
    for name, array in (("cam_B", FRAMES[:, 1:]), ("cam_A", FRAMES[:, :1])):
        group = zarr.open_group(root / name, mode="w", zarr_format=2)
        group.create_array("s0", data=array)
        group.attrs["multiscales"] = [described("0.4")]
    check(root, 55.0)


@pytest.mark.parametrize(
    ("name", "version", "top", "method"),
    [
        ("a.ozx", "0.5", "", zipfile.ZIP_STORED),
        ("a.zarr.zip", "0.4", "a.zarr/", zipfile.ZIP_DEFLATED),
        ("A.ZIP", "0.4", "", zipfile.ZIP_DEFLATED),
    ],
)
def test_zipped_stores(tmp_path: Path, name: str, version: str, top: str, method: int) -> None:
    write_image(tmp_path / "a.zarr", version)
    with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
        for file in sorted(p for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()):
            archive.write(file, f"{top}{file.relative_to(tmp_path / 'a.zarr').as_posix()}")
    shutil.rmtree(tmp_path / "a.zarr")
    check(tmp_path / name, 55.0)
    check(Path(f"{tmp_path / name}:/s0"), 55.0)


def test_a_zip_that_claims_more_than_it_can_hold_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", "0.5")
    path = tmp_path / "a.ozx"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (p for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(tmp_path / "a.zarr").as_posix())
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(FileFormatError), open_captures([path]) as series:
        series.read()
