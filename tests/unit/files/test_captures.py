from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import (
    ImagesDepth,
    Limits,
    list_images,
    open_captures,
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


def test_no_file_is_no_capture() -> None:
    with pytest.raises(FileFormatError, match="0 files given"):
        read_captures([])


@pytest.mark.parametrize("pages", [3, 7])
def test_pages_without_an_axis_are_frames_of_sensor_a(tmp_path: Path, pages: int) -> None:
    path = image(tmp_path / "a.tif", 1, (pages, 4, 5))
    with open_captures([path]) as series:
        assert series.shape == (pages, 1, 4, 5)
        assert f"{pages} pages that name no axis" in series.notes[0]
    assert read_captures([path]).shape == (pages, 1, 4, 5)


def test_pages_are_what_the_user_says(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.arange(6 * 20, dtype=np.uint16).reshape(6, 4, 5))
    with open_captures([path], pages="sensors") as series:
        assert series.shape == (3, 2, 4, 5)
        assert series.read(1, 2)[0, :, 0, 0].tolist() == [40, 60]
    two = image(tmp_path / "two.tif", 1, (2, 4, 5))
    with open_captures([two], pages="frames") as series:
        assert series.shape == (2, 1, 4, 5)
    odd = image(tmp_path / "odd.tif", 1, (3, 4, 5))
    with pytest.raises(FileFormatError, match="even number"), open_captures([odd], pages="sensors"):
        pass


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
    image(tmp_path / "stacks" / "1.tif", 1, (3, 4, 5))
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


def test_a_single_capture_and_a_series_of_one_are_told_apart(tmp_path: Path) -> None:
    one = image(tmp_path / "folder" / "a.tif", 1)
    for given, is_single in ((one, True), (tmp_path / "folder", False)):
        with open_captures([given]) as series:
            assert series.shape == (1, 1, 4, 5)
            assert series.is_single is is_single
            assert series.names == (given,)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    for index in range(5):
        image(tmp_path / "a" / f"{index}.tif", index)
    (tmp_path / "a" / "3.tif").write_bytes(b"no image at all")
    with open_captures([str(tmp_path / "a")]) as series:
        assert series.read(1, 3)[:, 0, 0, 0].tolist() == [1, 2]
        assert series.read(4)[:, 0, 0, 0].tolist() == [4]
        assert series.read(5).shape == (0, 1, 4, 5)
        with pytest.raises(FileFormatError, match=r"3\.tif"):
            series.read(2, 4)
        with pytest.raises(IndexError):
            series.read(-1)


def test_memory_counts_for_each_read_alone(tmp_path: Path) -> None:
    small = Limits(max_bytes=2 * 4 * 5 * 4)
    for name in ("a.tif", "a.npy"):
        path = image(tmp_path / name, 1, (6, 4, 5))
        with open_captures([path], limits=small) as series:
            assert [len(batch) for batch in series.batches(2)] == [2, 2, 2]
            with pytest.raises(FileFormatError, match="max_bytes"):
                series.read()


def test_published_layout_is_read_in_parts_without_its_layers(tmp_path: Path) -> None:
    captures = np.random.default_rng(0).random((5, 2, 4, 5), dtype=np.float32)
    data = ImagesDepth(captures, raw=np.full((5, 3, 4, 5), np.nan, np.float32))
    for name in ("1.mat", "1.h5", "1.zarr"):
        write_images_depth(tmp_path / name, ImagesDepth(captures))
        with open_captures([tmp_path / name]) as series:
            assert series.shape == (5, 2, 4, 5)
            np.testing.assert_array_equal(series.read(1, 4), captures[1:4])
    write_images_depth(tmp_path / "nan.mat", data)
    np.testing.assert_array_equal(read_captures([tmp_path / "nan.mat"]), captures)


def test_compressed_mat_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "z.mat"
    frames = np.arange(7 * 25.0).reshape(7, 5, 5)
    scipy.io.savemat(path, {"tumorImage_withPSF_A": frames}, do_compression=True)
    decoded: list[str] = []
    whole = scipy.io.loadmat
    monkeypatch.setattr(
        scipy.io, "loadmat", lambda *given, **more: decoded.append("") or whole(*given, **more)
    )
    with open_captures([path]) as series:
        np.testing.assert_array_equal(np.concatenate(list(series.batches(2)))[:, 0], frames)
    assert len(decoded) == 1


def test_pixel_sizes_of_a_and_b_must_agree(tmp_path: Path) -> None:
    def sized(name: str, pitch_um: float) -> Path:
        per_cm = (10_000 / pitch_um, 10_000 / pitch_um)
        tifffile.imwrite(
            tmp_path / name, np.ones((4, 5), np.uint8), resolution=per_cm,
            resolutionunit="CENTIMETER",
        )  # fmt: skip
        return tmp_path / name

    a, b = sized("a.tif", 55), sized("b.tif", 55.1)
    for given in ([a, b], [a], [a, image(tmp_path / "c.npy", 1)]):
        with open_captures(given) as series:
            assert series.pixel_size_um == pytest.approx(55, rel=1e-4)
    with pytest.raises(FileFormatError, match=r"55 µm but .*b\.tif of 60 µm"):
        read_captures([a, sized("b.tif", 60)])


def test_nan_and_infinity_are_counted_and_named(tmp_path: Path) -> None:
    values = np.ones((4, 2, 5, 6), np.float32)
    values[2, 1, 0, :3], values[2, 1, 1, 0], values[3, 0, 0, 0] = np.nan, np.inf, np.nan
    np.save(tmp_path / "a.npy", values)
    with open_captures([tmp_path / "a.npy"]) as series:
        assert (series.read(0, 2) == 1).all()
        with pytest.raises(FileFormatError) as caught:
            series.read()
    message = str(caught.value)
    assert "a.npy: sensor B, frame 3 holds 3 NaN and 1 infinite of 30 values" in message
    assert "1 more" in message
    assert "bad-pixel map" in message
    with open_captures([tmp_path / "a.npy"], allow_non_finite=True) as series:
        np.testing.assert_array_equal(series.read(), values)


def test_nan_names_the_image_of_a_set(tmp_path: Path) -> None:
    for stem, value in (("1", 1.0), ("2", np.nan)):
        image(tmp_path / "s" / f"{stem}_A.tif", 1)
        image(tmp_path / "s" / f"{stem}_B.tif", value)
    with open_captures([tmp_path / "s"]) as series, pytest.raises(FileFormatError) as caught:
        series.read()
    assert "2_B.tif: sensor B, frame 2 holds 20 NaN" in str(caught.value)


@pytest.mark.parametrize("as_sets", [False, True])
def test_sides_that_the_names_contradict_are_refused(tmp_path: Path, as_sets: bool) -> None:
    for number in (1, 2):
        for sensor in "AB":
            image(tmp_path / f"{number}_{sensor}.tif", number)
    sides = [tmp_path / (f"*_{sensor}.tif" if as_sets else f"1_{sensor}.tif") for sensor in "BA"]
    with pytest.raises(FileFormatError, match="the first says sensor B"):
        read_captures(sides)
    assert read_captures(sides[::-1]).shape[-3] == 2


def test_an_image_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    paths = [image(tmp_path / f"x_{sensor}.tif", 1) for sensor in "AB"]
    with pytest.raises(FileFormatError, match="given twice"):
        read_captures([*paths, paths[0]])


def test_one_image_is_not_both_sensors(tmp_path: Path) -> None:
    path = image(tmp_path / "1.tif", 1)
    for given in (path, tmp_path):
        with pytest.raises(FileFormatError, match="given as sensor A's image and as sensor B's"):
            read_captures([given, given])


def test_arrays_that_were_asked_for_are_known(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/1"], file["run/2"] = np.ones((3, 2, 4, 5)), np.zeros((3, 2, 4, 5))
    with open_captures([f"{tmp_path / 'a.h5'}:/run/2"]) as series:
        assert series.arrays == ("a.h5:/run/2",)


def test_an_n5_store_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.n5" / "volume").mkdir(parents=True)
    (tmp_path / "a.n5" / "attributes.json").write_text('{"n5": "2.0.0"}')
    with pytest.raises(FileFormatError, match=r"an N5 store, expected Zarr"):
        read_captures([tmp_path / "a.n5"])


def test_two_arrays_of_an_archive_can_be_named_as_the_message_says(tmp_path: Path) -> None:
    top, bottom = np.ones((3, 40, 41)), np.zeros((3, 40, 41))
    np.savez(tmp_path / "a.npz", top=top, bottom=bottom)
    with pytest.raises(FileFormatError, match="or name two, sensor A's first"):
        read_captures([tmp_path / "a.npz"])
    both = read_captures([f"{tmp_path}/a.npz:/top", f"{tmp_path}/a.npz:/bottom"])
    np.testing.assert_array_equal(both, np.stack([top, bottom], axis=1))


def test_groups_of_an_hdf5_file_say_the_sensors(tmp_path: Path) -> None:
    a, b = np.ones((3, 40, 41)), np.zeros((3, 40, 41))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/camB/data"], file["run/camA/data"] = b, a
    np.testing.assert_array_equal(read_captures([tmp_path / "a.h5"]), np.stack([a, b], axis=1))
