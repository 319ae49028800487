"""Which images are sensor A's and which B's: by name, in folders, patterns and lists."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures
from fociscope.files.captures.pairing import sensor_of


def write(folder: Path, *names: str) -> Path:
    """Images whose value is their place in `names`, from 1."""
    folder.mkdir(exist_ok=True)
    for value, name in enumerate(names, start=1):
        tifffile.imwrite(folder / name, np.full((4, 5), value, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("name", "sensor", "key"),
    [
        ("run_A.tif", "A", "run_?"),
        ("run_b.ome.tif", "B", "run_?.ome"),
        ("img-A-0001.png", "A", "img-?-0001"),
        ("sensor_b.tif", "B", "sensor_?"),
        ("SensorB 7.npy", "B", "? 7"),
        ("camA.tif", "A", "?"),
        ("B.tif", "B", "?"),
        ("mouse_B_003_A.tif", "A", "mouse_B_003_?"),
        ("run.tif", None, "run"),
        ("data_AB.tif", None, "data_AB"),
        ("banana_1.tif", None, "banana_1"),
    ],
)
def test_names_say_their_sensor(name: str, sensor: str | None, key: str) -> None:
    assert sensor_of(name) == (sensor, key)


def test_a_folder_is_paired_by_name_in_natural_order(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "x10_B.tif", "x2_A.tif", "x2_B.tif", "x10_A.tif")
    with open_captures([folder]) as series:
        assert series.shape == (2, 2, 4, 5)
        assert [[file.name for file in pair] for pair in series.pairs] == [
            ["x2_A.tif", "x2_B.tif"], ["x10_A.tif", "x10_B.tif"]]  # fmt: skip
        assert series.names == (folder,)
        assert series.read()[:, :, 0, 0].tolist() == [[2, 3], [4, 1]]


def test_a_pattern_given_once_or_twice(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "1_A.tif", "2_A.tif", "2_B.tif", "1_B.tif", "other.tif")
    expected = [[1, 4], [2, 3]]
    assert read_captures([folder / "[12]_*.tif"])[:, :, 0, 0].tolist() == expected
    assert (
        read_captures([f"{folder}/*_A.tif", f"{folder}/*_B.tif"])[:, :, 0, 0].tolist() == expected
    )
    with open_captures([folder / "*_A.tif"]) as series:
        assert series.shape == (2, 1, 4, 5)
        assert series.pairs == ((folder / "1_A.tif",), (folder / "2_A.tif",))
        assert series.names == (folder / "1_A.tif", folder / "2_A.tif")
    with open_captures([folder / "*_B.tif"]) as series:
        assert "all names say sensor B" in series.notes[0]


def test_one_pair_is_one_capture(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "x_A.tif", "x_B.tif")
    for given in (folder, folder / "*.tif"):
        with open_captures([given]) as series:
            assert series.is_single
            assert series.read()[0, :, 0, 0].tolist() == [1, 2]
    for name, value in (("x_A.tif", 3), ("x_B.tif", 4)):  # of stacks, a series
        tifffile.imwrite(folder / name, np.full((6, 4, 5), value, np.uint8))
    assert read_captures([folder]).shape == (6, 2, 4, 5)


def test_a_list_of_images_is_a_set(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "1_A.tif", "1_B.tif", "2_A.tif", "2_B.tif")
    files = sorted(folder.iterdir())
    with open_captures(files) as series:
        assert series.read()[:, :, 0, 0].tolist() == [[1, 2], [3, 4]]
        assert series.names == tuple(files)
    with pytest.raises(FileFormatError, match=r"3 files given.*run"):
        read_captures([*files[:2], folder])


def test_two_folders_are_paired_by_name_where_names_agree(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "t1.tif", "t2.tif")
    b = write(tmp_path / "b", "t2.tif", "t1.tif")
    assert read_captures([a, b])[:, :, 0, 0].tolist() == [[1, 2], [2, 1]]
    other = write(tmp_path / "other", "x1.tif", "x2.tif")
    assert read_captures([a, other])[:, :, 0, 0].tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1_A.tif", "1_B.tif", "2_A.tif"], "'2_A.tif' have no partner .*1 of 3 images"),
        (["1_A.tif", "2_B.tif"], "'1_A.tif', '2_B.tif' have no partner"),
        ([f"{n}_A.tif" for n in range(9)] + ["0_B.tif"], "'4_A.tif' and 4 more have no partner"),
        (["1_A.tif", "1_B.tif", "note.tif"], "'note.tif' say neither A nor B"),
        (["1_A.tif", "1_a.tiff", "1_B.tif"], "both say sensor A"),
    ],
)
def test_missing_partners_are_named_in_one_line(
    tmp_path: Path, names: list[str], words: str
) -> None:
    folder = write(tmp_path / "run", *names)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_captures([folder])
    assert "\n" not in str(caught.value)


def test_missing_partners_between_folders(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "t1.tif", "t2.tif", "t3.tif")
    b = write(tmp_path / "b", "t1.tif", "t3.tif")
    with pytest.raises(FileFormatError, match=r"'t2\.tif' have no partner"):
        read_captures([a, b])
    other = write(tmp_path / "other", "x1.tif", "x2.tif")
    with pytest.raises(FileFormatError, match=r"3 images but .* holds 2"):
        read_captures([a, other])


def test_a_folder_of_two_page_images_holds_both_sensors(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for n in range(3):
        pages = np.stack([np.full((4, 5), n), np.full((4, 5), -n)]).astype(np.int16)
        tifffile.imwrite(tmp_path / "run" / f"{n}.tif", pages, photometric="minisblack")
    assert read_captures([tmp_path / "run"])[:, :, 0, 0].tolist() == [[0, 0], [1, -1], [2, -2]]
    tifffile.imwrite(tmp_path / "run" / "3.tif", np.zeros((4, 5), np.int16))
    with pytest.raises(FileFormatError, match=r"0\.tif has 2 x 4 x 5 .*3\.tif has 4 x 5"):
        read_captures([tmp_path / "run"])


def test_patterns_that_match_nothing_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="matches nothing"):
        read_captures([tmp_path / "*.tif"])
    for name in ("1.h5", "2.h5"):
        (tmp_path / name).write_text("x")
    with pytest.raises(FileFormatError, match="matches 2 other files"):
        read_captures([tmp_path / "*.h5"])


def test_a_name_with_a_bracket_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "run", "img[1].tif")
    assert read_captures([tmp_path / "run" / "img[1].tif"]).shape == (1, 4, 5)
