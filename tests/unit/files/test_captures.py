from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import (
    ImagesDepth,
    Limits,
    list_images,
    read_captures,
    write_images_depth,
)


def image(path: Path, value: float, shape: tuple[int, ...] = (4, 5)) -> Path:
    path.parent.mkdir(exist_ok=True)
    array = np.full(shape, value, np.float32)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, photometric="minisblack")
    return path


def test_one_image_is_sensor_a(tmp_path: Path) -> None:
    assert read_captures([image(tmp_path / "a.tif", 1)]).shape == (1, 4, 5)
    assert read_captures([image(tmp_path / "a.npy", 1, (1, 4, 5))]).shape == (1, 4, 5)


def test_two_images_are_a_pair(tmp_path: Path) -> None:
    pair = read_captures([image(tmp_path / "a.tif", 1), image(tmp_path / "b.npy", 2)])
    assert pair.shape == (2, 4, 5)
    assert pair[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("name", ["ab.tif", "ab.npy"])
def test_file_of_two_pages_is_a_pair(tmp_path: Path, name: str) -> None:
    assert read_captures([image(tmp_path / name, 1, (2, 4, 5))]).shape == (2, 4, 5)


def test_two_stacks_are_frames(tmp_path: Path) -> None:
    paths = [
        image(tmp_path / name, value, (3, 4, 5)) for name, value in (("a.tif", 1), ("b.tif", 2))
    ]
    frames = read_captures(paths)
    assert frames.shape == (3, 2, 4, 5)
    assert frames[1, :, 0, 0].tolist() == [1, 2]


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 2, 1):
        image(tmp_path / "a" / f"img{index}.tif", index)
        image(tmp_path / "b" / f"Img{index}.tif", -index)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "._img1.tif").write_text("x")
    assert [file.name for file in list_images(tmp_path / "a")] == [
        "img1.tif", "img2.tif", "img10.tif"]  # fmt: skip
    frames = read_captures([tmp_path / "a", tmp_path / "b"])
    assert frames[:, :, 0, 0].tolist() == [[1, -1], [2, -2], [10, -10]]
    assert read_captures([tmp_path / "a"]).shape == (3, 1, 4, 5)


def test_image_beside_a_stack_of_one(tmp_path: Path) -> None:
    paths = [image(tmp_path / "a.tif", 1), image(tmp_path / "b.npy", 2, (1, 4, 5))]
    assert read_captures(paths).shape == (2, 4, 5)


@pytest.mark.parametrize("sensors", [1, 2])
def test_npy_with_a_sensor_axis_is_taken_as_it_is(tmp_path: Path, sensors: int) -> None:
    path = image(tmp_path / "a.npy", 1, (3, sensors, 4, 5))
    assert read_captures([path]).shape == (3, sensors, 4, 5)


def test_published_layout(tmp_path: Path) -> None:
    captures = np.ones((3, 2, 4, 5), np.float32)
    write_images_depth(tmp_path / "1.mat", ImagesDepth(captures))
    assert read_captures([tmp_path / "1.mat"]).shape == (3, 2, 4, 5)
    with pytest.raises(FileFormatError, match="alone"):
        read_captures([tmp_path / "1.mat", tmp_path / "1.mat"])


@pytest.mark.parametrize("count", [0, 3])
def test_number_of_files(count: int) -> None:
    with pytest.raises(FileFormatError, match=f"{count} files given"):
        read_captures([Path("a.tif")] * count)


@pytest.mark.parametrize("pages", [3, 7])
def test_other_numbers_of_pages_are_explained(tmp_path: Path, pages: int) -> None:
    with pytest.raises(FileFormatError, match=f"{pages} pages.*two files.*folder"):
        read_captures([image(tmp_path / "a.tif", 1, (pages, 4, 5))])


def test_unequal_sizes_name_both_files(tmp_path: Path) -> None:
    paths = [image(tmp_path / "a.tif", 1), image(tmp_path / "b.tif", 1, (4, 6))]
    with pytest.raises(FileFormatError, match=r"a\.tif has 4 x 5 .*b\.tif has 4 x 6"):
        read_captures(paths)


def test_unequal_numbers_name_both_files(tmp_path: Path) -> None:
    paths = [image(tmp_path / "a.tif", 1, (3, 4, 5)), image(tmp_path / "b.tif", 1)]
    with pytest.raises(FileFormatError, match=r"a\.tif holds 3 .*b\.tif holds 1"):
        read_captures(paths)


def test_folders_must_hold_like_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="no image"):
        read_captures([tmp_path / "empty"])
    image(tmp_path / "mixed" / "1.tif", 1)
    image(tmp_path / "mixed" / "2.tif", 1, (4, 6))
    with pytest.raises(FileFormatError, match=r"1\.tif has 4 x 5 .*2\.tif has 4 x 6"):
        read_captures([tmp_path / "mixed"])
    image(tmp_path / "stacks" / "1.tif", 1, (2, 4, 5))
    with pytest.raises(FileFormatError, match="one image"):
        read_captures([tmp_path / "stacks"])


def test_folder_counts_against_the_limits(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "a" / f"{index}.tif", 1)
    with pytest.raises(FileFormatError, match="max_bytes"):
        read_captures([tmp_path / "a"], Limits(max_bytes=4 * 5 * 4 * 2))
    with pytest.raises(FileFormatError, match="max_pages"):
        read_captures([tmp_path / "a"], Limits(max_pages=2))


def test_wrong_sensor_axes_are_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "a.npy", 1, (2, 3, 4, 5))
    with pytest.raises(FileFormatError, match="3 sensors"):
        read_captures([path])
    with pytest.raises(FileFormatError, match="give this file alone"):
        read_captures([path, path])
