"""Which mark in a name is the sensor's, folders as a part of names, and times that disagree."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures
from fociscope.files.formats._times import disagreeing, name_times


def write(folder: Path, *names: str, value: int = 1) -> list[Path]:
    """Images whose value is their place in `names`, from `value` on."""
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((4, 5), value + place, np.uint8))
    return [folder / name for name in names]


def pairs_of(*given: Path | str) -> list[str]:
    with open_captures(given) as series:
        return [" ".join("/".join(file.parts[-2:]) for file in pair) for pair in series.pairs]


@pytest.mark.parametrize(
    "names",
    [
        ["camA_mouse_a_1", "camB_mouse_a_1", "camA_mouse_b_1", "camB_mouse_b_1"],
        ["sensor_a_side_1_b", "sensor_b_side_1_b", "sensor_a_side_2_b", "sensor_b_side_2_b"],
        ["camera-A b 1", "camera-B b 1"],
        ["A_mouse_b_1", "B_mouse_b_1", "A_mouse_b_2", "B_mouse_b_2"],
        ["b_1_A_x", "b_1_B_x", "b_2_A_x", "b_2_B_x"],
    ],
)
def test_the_mark_that_pairs_all_names_counts(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path / "run", *(f"{name}.tif" for name in names))
    expected = [f"run/{a}.tif run/{b}.tif" for a, b in zip(names[::2], names[1::2], strict=True)]
    assert sorted(pairs_of(tmp_path / "run")) == sorted(expected)


def test_names_that_can_be_paired_in_two_ways_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "A_a_1.tif", "A_b_1.tif", "B_a_1.tif", "B_b_1.tif")
    with pytest.raises(FileFormatError, match=r"2 ways .*mark the sensors as camA and camB"):
        read_captures([tmp_path])
    assert len(pairs_of(f"{tmp_path}/A_*.tif", f"{tmp_path}/B_*.tif")) == 2  # as it says


def test_one_camera_of_several_animals_is_one_sensor(tmp_path: Path) -> None:
    write(tmp_path, "camA_mouse_a_1.tif", "camA_mouse_b_1.tif")
    with open_captures([tmp_path]) as series:
        assert series.shape == (2, 1, 4, 5)


def test_folders_are_a_part_of_the_name(tmp_path: Path) -> None:
    write(tmp_path, "mouse1/x_A.tif", "mouse1/x_B.tif", "mouse2/x_A.tif", "mouse2/x_B.tif")
    expected = ["mouse1/x_A.tif mouse1/x_B.tif", "mouse2/x_A.tif mouse2/x_B.tif"]
    assert pairs_of(f"{tmp_path}/mouse*/x_?.tif") == expected
    assert pairs_of(f"{tmp_path}/*/x_A.tif", f"{tmp_path}/*/x_B.tif") == expected
    (tmp_path / "mouse1" / "x_B.tif").unlink()
    (tmp_path / "mouse2" / "x_A.tif").unlink()
    with pytest.raises(FileFormatError, match="no partner"):
        read_captures([f"{tmp_path}/mouse*/x_?.tif"])
    with pytest.raises(FileFormatError, match="'mouse1' and 'mouse2'"):
        read_captures([tmp_path / "mouse1" / "x_A.tif", tmp_path / "mouse2" / "x_B.tif"])


def test_folders_may_be_the_mark(tmp_path: Path) -> None:
    write(tmp_path, "A/1.tif", "A/2.tif", "B/1.tif", "B/2.tif")
    assert pairs_of(f"{tmp_path}/*/*.tif") == ["A/1.tif B/1.tif", "A/2.tif B/2.tif"]
    write(tmp_path, "r1_camA/x.tif", "r1_camB/x.tif")
    assert pairs_of(tmp_path / "r1_camA" / "x.tif", tmp_path / "r1_camB" / "x.tif") == [
        "r1_camA/x.tif r1_camB/x.tif"
    ]


def test_two_folders_of_animals_named_a_and_b(tmp_path: Path) -> None:
    names = ["mouse_a_1.tif", "mouse_b_1.tif"]
    write(tmp_path / "one", *names)
    write(tmp_path / "two", *names[::-1])
    assert pairs_of(tmp_path / "one", tmp_path / "two") == [
        f"one/{name} two/{name}" for name in names
    ]


@pytest.mark.parametrize(
    ("names_a", "names_b", "lone"),
    [
        (["20240501_120000_013", "20240501_120002_013", "20240501_120003_013"],
         ["20240501_120000_021", "20240501_120001_021", "20240501_120003_021"],
         "'20240501_120002_013.tif', '20240501_120001_021.tif'"),
        (["t-1714564800.0", "t-1714564802.0", "t-1714564803.0"],
         ["u-1714564800.2", "u-1714564801.2", "u-1714564802.2"], "no partner"),
        ([f"shot{n}" for n in (1, 3, 4, 5, 6, 7)], [f"img{n}" for n in (11, 12, 13, 14, 16, 17)],
         "'shot5.tif', 'img12.tif'"),
    ],
)  # fmt: skip
def test_images_paired_in_order_whose_times_disagree_are_refused(
    tmp_path: Path, names_a: list[str], names_b: list[str], lone: str
) -> None:
    write(tmp_path / "a", *(f"{name}.tif" for name in names_a))
    write(tmp_path / "b", *(f"{name}.tif" for name in names_b))
    with pytest.raises(FileFormatError, match=lone):
        read_captures([tmp_path / "a", tmp_path / "b"])


def test_images_paired_in_order_are_said_to_be(tmp_path: Path) -> None:
    write(tmp_path / "a", *(f"20240501_12000{n}_013.tif" for n in range(3)))
    write(tmp_path / "b", *(f"20240501_12000{n}_913.tif" for n in range(3)), value=11)
    with open_captures([tmp_path / "a", tmp_path / "b"]) as series:
        assert series.read()[:, :, 0, 0].tolist() == [[1, 11], [2, 12], [3, 13]]
        assert "paired in order" in " ".join(series.notes)


def test_times_in_names() -> None:
    assert name_times(["x_2024-05-01T12:00:00.5"]) == [1714564800.5]
    assert name_times(["1714564800123.tif"]) == [1714564800.123]
    assert name_times(["Basler_acA1300-200um__22031234__20240501_120000250_7"]) == [1714564800.25]
    assert name_times(["x_20240501120000250125"]) == [1714564800.250125]
    assert name_times(["run7_003", "run7_004"]) == [3, 4]
    assert name_times(["x", "y"]) is None
    assert disagreeing([0, 1, 2, 3], [100, 101.2, 102.1, 103]) is None
    assert disagreeing([0, 1, 2], [0, 1, 2, 3]) == ((), (3,))


def test_glob_characters_in_names_of_folders_and_files(tmp_path: Path) -> None:
    write(tmp_path, "run[1]/x_A.tif", "run[1]/x_B.tif", "run1/x_A.tif", "run1/x_B.tif")
    assert pairs_of(f"{tmp_path}/run[1]/*.tif") == ["run[1]/x_A.tif run[1]/x_B.tif"]
    assert pairs_of(tmp_path / "run[1]") == ["run[1]/x_A.tif run[1]/x_B.tif"]
    write(tmp_path / "names", "a[1]_x.tif", "a[1]_y.tif")
    assert len(pairs_of(f"{tmp_path}/names/a[1]_*.tif")) == 2
    write(tmp_path / "names", "a1_x.tif")
    with pytest.raises(FileFormatError, match="as a pattern, and"):
        pairs_of(f"{tmp_path}/names/a[1]_*.tif")


def test_two_stacks_whose_times_disagree_are_refused(tmp_path: Path) -> None:
    for name, times in (("a", [0, 1, 2, 3]), ("b", [5.1, 6.1, 7.1, 8.1]), ("c", [0, 1, 3, 4])):
        about = {"axes": "TYX", "Plane": {"DeltaT": [1000.0 * t for t in times],
                                          "DeltaTUnit": ["ms"] * 4}}  # fmt: skip
        tifffile.imwrite(tmp_path / f"{name}.tif", np.ones((4, 5, 6), np.uint8), ome=True,
                         photometric="minisblack", metadata=about)  # fmt: skip
    assert read_captures([tmp_path / "a.tif", tmp_path / "b.tif"]).shape == (4, 2, 5, 6)
    with pytest.raises(FileFormatError, match="frame 3 of sensor A, frame 4 of sensor B"):
        read_captures([tmp_path / "a.tif", tmp_path / "c.tif"])
