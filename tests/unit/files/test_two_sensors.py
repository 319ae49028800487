"""Names that mark two sensors by numbers, sides or serials, as cameras and others write them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures
from fociscope.files.captures.reader import sort_captures

TIMES = (1, 2, 10)


def write(folder: Path, *names: str) -> Path:
    """Images whose value is their place in `names`, from 1 on."""
    for value, name in enumerate(names, start=1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((4, 5), value, np.uint8))
    return folder


NUMBERED = {
    "cameras": ["cam0_{t:04d}.tif", "cam1_{t:04d}.tif"],
    "Leica": ["exp_t{t:02d}_ch00.tif", "exp_t{t:02d}_ch01.tif"],
    "Micro-Manager": [
        f"img_channel00{c}_position000_time{{t:09d}}_z000.tif" for c in (0, 1)
    ],
    "Prairie View": [f"T-001_Cycle00001_Ch{c}_{{t:06d}}.ome.tif" for c in (1, 3)],
    "letters": ["camA{t:03d}.tif", "camB{t:03d}.tif"],
    "folders": ["Camera 1/{t}.tif", "Camera 2/{t}.tif"],
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERED)
def test_numbers_of_cameras_and_channels_pair_images(tmp_path: Path, kind: str) -> None:
    a, b = ([name.format(t=t) for t in TIMES] for name in NUMBERED[kind])
    folder = write(tmp_path / "run", *b, *a)
    with open_captures(f"{folder}/**/*.tif" if kind == "folders" else folder) as series:
        assert series.read()[:, :, 0, 0].tolist() == [[4, 1], [5, 2], [6, 3]]
        assert "is taken as sensor A" in " ".join(series.notes)


PERHAPS = {
    "sides": ["{t:03d}_left.tif", "{t:03d}_right.tif"],
    "heights": ["top_{t}.tif", "bottom_{t}.tif"],
    "letters": ["{t:03d}_L.tif", "{t:03d}_R.tif"],
    "cameras": ["CameraTop_{t}.tif", "CameraBottom_{t}.tif"],
    "sensors before a number": ["imgA{t:03d}.tif", "imgB{t:03d}.tif"],
    "sensors behind a number": ["{t:03d}A.tif", "{t:03d}B.tif"],
    "last number": ["img{t:04d}_1.tif", "img{t:04d}_2.tif"],
    "clocks": ["cam0_171456480{t}.1.tif", "cam1_171456480{t}.3.tif"],
    "Basler": [f"Basler__2203123{c}__20190514_1327{{t:02d}}10{c}_{{t}}.tiff" for c in (4, 5)],
    "NIS": ["runt{t:03d}c1.tif", "runt{t:03d}c2.tif"],
    "ZEN": ["run_s1t{t}c1_ORG.tif", "run_s1t{t}c2_ORG.tif"],
    "MetaMorph": ["run_w1GFP_t{t}.TIF", "run_w2RFP_t{t}.TIF"],
    "Spinnaker": ["run-18475823-{t:04d}.tif", "run-18475911-{t:04d}.tif"],
}


@pytest.mark.parametrize("kind", PERHAPS)
def test_names_that_may_be_two_sensors_are_no_film_of_one(tmp_path: Path, kind: str) -> None:
    a, b = ([name.format(t=t) for t in TIMES] for name in PERHAPS[kind])
    write(tmp_path / "run", *a, *b)
    with pytest.raises(FileFormatError, match=r"may be two sensors .*, sensor A's first"):
        open_captures(tmp_path / "run").__enter__()
    for side, names in (("a", a), ("b", b)):  # as the message says
        write(tmp_path / side, *names)
    with open_captures([tmp_path / "a", tmp_path / "b"]) as series:
        assert series.shape == (3, 2, 4, 5)
    assert len(sort_captures([tmp_path / "run" / name for name in (*a, *b)])) == 6  # a batch


def test_a_frame_that_one_numbered_camera_dropped(tmp_path: Path) -> None:
    write(tmp_path, "cam1_1.tif", "cam1_2.tif", "cam2_1.tif")
    with pytest.raises(FileFormatError, match=r"'cam1_2.tif' have no partner .*x_cam1.tif"):
        open_captures(tmp_path).__enter__()


def test_other_images_beside_those_of_two_cameras(tmp_path: Path) -> None:
    write(tmp_path, *(f"cam{n}_{t}.tif" for n in (1, 2) for t in TIMES), "dark.tif")
    with pytest.raises(FileFormatError, match=r"'dark.tif' say neither cam1 nor cam2"):
        open_captures(tmp_path).__enter__()
    sides = (f"{side}_{t}.tif" for side in ("top", "bottom") for t in TIMES)
    write(tmp_path / "x", *sides, "empty.tif")
    with pytest.raises(FileFormatError, match=r"'bottom' and 'top', which may be two sensors"):
        open_captures(tmp_path / "x").__enter__()


@pytest.mark.parametrize(
    "names",
    [
        ["mouse1_cam1.tif", "mouse2_cam2.tif"],
        [f"cam1_{t}.tif" for t in TIMES],
        [f"run{n}_{t}.tif" for n in (1, 2) for t in TIMES],
        [f"{row}{column:02d}.tif" for row in "ABC" for column in TIMES],
        ["x_1.tif", "x_2.tif"],
        ["up_1.tif", "up_2.tif", "down_1.tif", "down_2.tif"],
        ["1a.tif", "2a.tif", "3b.tif"],
        ["20240501_1.tif", "20240502_1.tif"],
        ["1.tif", "2.tif"],
        [f"cam{n}.tif" for n in (1, 2, 3)],
        ["camera_001.tif", "camera_002.tif"],
    ],
)
def test_other_numbers_are_no_sensors(tmp_path: Path, names: list[str]) -> None:
    with open_captures(write(tmp_path / "run", *names)) as series:
        assert series.shape == (len(names), 1, 4, 5)


def test_letters_and_numbers_that_disagree_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *(f"cam{n}_mouse_{m}_{t}.tif" for n in (1, 2) for m in "ab" for t in TIMES))
    with pytest.raises(FileFormatError, match="2 ways"):
        open_captures(tmp_path).__enter__()
    write(tmp_path / "strong", *(f"cam{m}_ch{n}.tif" for n in (1, 2) for m in "AB"))
    with open_captures(tmp_path / "strong") as series:
        assert series.read()[:, :, 0, 0].tolist() == [[1, 2], [3, 4]]
