"""How many planes a TIFF holds, which sensor and frame each is, and the numbers that it states."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures, read_image, read_pixel_size_um

FRAMES = np.arange(6 * 20 * 30, dtype=np.uint16).reshape(6, 20, 30) + 100


def write(path: Path, array: np.ndarray = FRAMES, **options: object) -> Path:
    tifffile.imwrite(path, array, **({"photometric": "minisblack"} | options))
    return path


def entry(code: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", code, kind, count, value)


def one_page(
    path: Path, planes: np.ndarray, extra: bytes, tags: list[tuple[int, int, int]]
) -> Path:
    """A TIFF of one page, then all planes in a row; `tags` (code, type, count) point at `extra`."""
    height, width = planes.shape[1:]
    at = 8 + planes.nbytes
    known = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
             (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, height),
             (279, 4, 1, height * width * 2)]  # fmt: skip
    known += [(code, kind, count, at) for code, kind, count in tags]
    ifd = b"".join(entry(*one) for one in sorted(known))
    head = struct.pack("<2sHI", b"II", 42, at + len(extra))
    path.write_bytes(
        head + planes.tobytes() + extra + struct.pack("<H", len(known)) + ifd + bytes(4)
    )
    return path


def metamorph(path: Path) -> Path:
    """As MetaMorph stores a stack: one page, and one value of UIC2 per plane."""
    return one_page(path, FRAMES, struct.pack("<6I", 1, 1, 0, 0, 0, 0) * 6, [(33629, 5, 6)])


@pytest.mark.parametrize("kind", ["shaped", "imagej", "imagej_images", "metamorph"])
def test_planes_behind_the_only_page_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    if kind == "metamorph":
        metamorph(path)
    elif kind == "imagej_images":
        text = b"ImageJ=1.53t\nimages=6\n"
        one_page(path, FRAMES, text + b"\0", [(270, 2, len(text) + 1)])
    elif kind == "imagej":
        write(path, imagej=True, truncate=True, metadata={"axes": "TYX"}, photometric=None)
    else:
        write(path, truncate=True)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read()[:, 0], FRAMES)
        np.testing.assert_array_equal(series.read(4, 6)[:, 0], FRAMES[4:])
    np.testing.assert_array_equal(read_image(path), FRAMES)


def test_more_images_described_than_held_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", truncate=True)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(FileFormatError, match=r"describes 6 images but the file holds [45]"):
        read_captures([path])
    text = '{"shape": [6, 20, 30]}'
    write(tmp_path / "b.tif", FRAMES[:3], description=text, metadata=None)
    with pytest.raises(FileFormatError, match="describes 6 images but the file holds 3"):
        read_captures([tmp_path / "b.tif"])


def test_a_description_of_fewer_images_and_room_for_more_are_said(tmp_path: Path) -> None:
    text = "ImageJ=1.53t\nimages=2\n"
    write(tmp_path / "a.tif", description=text, metadata=None)
    with open_captures([tmp_path / "a.tif"]) as series:
        assert len(series) == 6
        assert "describes 2 image(s) but there are 6 pages" in " ".join(series.notes)
    one_page(tmp_path / "b.tif", FRAMES, b"", [])
    with open_captures([tmp_path / "b.tif"]) as series:
        assert "room for 5 more image(s)" in " ".join(series.notes)
    with open_captures([write(tmp_path / "c.tif", FRAMES[0])]) as series:
        assert series.notes == ()


def test_room_for_more_images_behind_listed_pages_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", FRAMES[:2], metadata=None)
    with (tmp_path / "a.tif").open("ab") as file:
        file.write(FRAMES[2:].tobytes())
    with open_captures([tmp_path / "a.tif"]) as series:
        assert "lists 2 pages, and has room for 4 more image(s)" in " ".join(series.notes)


def test_a_tag_that_counts_more_pages_is_said(tmp_path: Path) -> None:
    tags = [(297, 3, 2, (0, 6), True)]
    write(tmp_path / "a.tif", FRAMES[:3], metadata=None, extratags=tags)
    with open_captures([tmp_path / "a.tif"]) as series:
        assert len(series) == 3
        assert "PageNumber counts 6 images but the file holds 3" in " ".join(series.notes)


def test_an_acquisition_that_ended_early_is_said(tmp_path: Path) -> None:
    """As Micro-Manager begins a file: its summary stands before the pages."""
    summary = json.dumps({"Frames": 6, "Channels": 2, "Slices": 1}).encode()
    said = json.dumps({"FrameIndex": 0}).encode() + b"\0"
    head = struct.pack("<IIII", 483729, 2, 2355492, len(summary)) + summary
    at = 8 + len(head)
    data = at + len(said)
    tags = [(256, 3, 1, 30), (257, 3, 1, 20), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, data), (277, 3, 1, 1), (278, 3, 1, 20), (279, 4, 1, FRAMES[0].nbytes),
            (51123, 2, len(said), at)]  # fmt: skip
    ifd = struct.pack("<H", len(tags)) + b"".join(entry(*tag) for tag in tags) + bytes(4)
    place = struct.pack("<2sHI", b"II", 42, data + FRAMES[0].nbytes)
    (tmp_path / "a.tif").write_bytes(place + head + said + FRAMES[0].tobytes() + ifd)
    with open_captures([tmp_path / "a.tif"]) as series:
        assert "summary plans 12 images but the file holds 1" in " ".join(series.notes)
        np.testing.assert_array_equal(series.read()[0, 0], FRAMES[0])


@pytest.mark.parametrize(
    ("axes", "lengths", "order"), [("Time,Channel", "3,2", (1, 0)), ("Channel,Z", "2,3", (0, 1))]
)
def test_axes_that_imagej2_lists(
    tmp_path: Path, axes: str, lengths: str, order: tuple[int, int]
) -> None:
    frames = FRAMES.reshape(3, 2, 20, 30)
    stored = frames.transpose(*order, 2, 3).reshape(6, 20, 30)
    text = f"SCIFIO=0.46.0\naxes=X,Y,{axes}\nlengths=30,20,{lengths}\nimages=6\n"
    write(tmp_path / "a.tif", stored, description=text, metadata=None)
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), frames)
    write(tmp_path / "b.tif", description=text.replace(axes, "Lifetime,Z"), metadata=None)
    with pytest.raises(FileFormatError, match="several axes"):
        read_captures([tmp_path / "b.tif"])


def test_an_array_of_three_sensors_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", FRAMES.reshape(2, 3, 20, 30))
    with pytest.raises(FileFormatError, match=r"2 x 3 x 20 x 30 with 3 sensors"):
        read_captures([tmp_path / "a.tif"])


@pytest.mark.parametrize("order", ["czt", "ctz", "zct", "ztc", "tcz", "tzc", "xyzct"])
def test_imagej_text_orders_the_axes(tmp_path: Path, order: str) -> None:
    frames = np.arange(3 * 2 * 600, dtype=np.uint16).reshape(3, 2, 20, 30)
    letters = order.removeprefix("xy")[::-1]  # slowest first
    pages = (frames if letters.index("z") < letters.index("c") else frames.swapaxes(0, 1)).copy()
    text = f"ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\nhyperstack=true\norder={order}\n"
    write(tmp_path / "a.tif", pages.reshape(6, 20, 30), description=text, metadata=None)
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), frames)


@pytest.mark.parametrize(
    ("axes", "order"), [("CTYX", (1, 0)), ("TCYX", (0, 1)), ("ZCYX", (0, 1)), ("CZYX", (1, 0))]
)
def test_axes_that_the_description_names(tmp_path: Path, axes: str, order: tuple[int, int]) -> None:
    frames = FRAMES.reshape(3, 2, 20, 30)
    stored = frames.transpose(*order, 2, 3)
    path = write(tmp_path / "a.tif", stored, metadata={"axes": axes})
    np.testing.assert_array_equal(read_captures([path]), frames)


def test_axes_that_are_no_captures_are_refused(tmp_path: Path) -> None:
    for axes in ("TZYX", "RCXY"):
        path = write(tmp_path / "a.tif", FRAMES.reshape(3, 2, 20, 30), metadata={"axes": axes})
        with pytest.raises(FileFormatError, match=f"over the axes '{axes}'"):
            read_captures([path])


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_channels_named_in_reverse_are_taken_by_their_names(tmp_path: Path, kind: str) -> None:
    frames = FRAMES.reshape(3, 2, 20, 30)
    path, names = tmp_path / "a.tif", ["sensor B", "sensor A"]
    if kind == "ome":
        write(path, frames[:, ::-1], ome=True,
              metadata={"axes": "TCYX", "Channel": {"Name": names}})  # fmt: skip
    else:
        write(path, frames[:, ::-1], imagej=True, photometric=None,
              metadata={"axes": "TCYX", "Labels": names * 3})  # fmt: skip
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), frames)
        assert "'sensor B' and 'sensor A', by their names" in " ".join(series.notes)


def micromanager(path: Path, places: list[dict[str, object]], **options: object) -> Path:
    """As NDTiff stores pages: a filler of 1 pixel per cm, and a JSON beside each page."""
    with tifffile.TiffWriter(path) as file:
        for page, place in zip(FRAMES, places, strict=False):
            said = json.dumps({"Axes": place, "PixelSizeUm": 55.0}).encode() + b"\0"
            file.write(page, photometric="minisblack", metadata=None, resolution=(1, 1),
                       resolutionunit="CENTIMETER", contiguous=False,
                       extratags=[(51123, 2, len(said), said, True)], **options)  # fmt: skip
    return path


def test_axes_and_pixel_size_beside_each_page_of_ndtiff(tmp_path: Path) -> None:
    places = [{"time": t, "channel": c} for c in ("CamB", "CamA") for t in range(3)]
    path = micromanager(tmp_path / "a.tif", places)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(
            series.read(), FRAMES.reshape(2, 3, 20, 30)[::-1].swapaxes(0, 1)
        )
        assert series.pixel_size_um == 55
    micromanager(path, places[:5])
    with pytest.raises(FileFormatError, match=r"1 missing"):
        read_captures([path])


def test_channels_of_micromanager_that_come_in_another_order(tmp_path: Path) -> None:
    """Two cameras do not take turns: the second one's page may be the first of the file."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for t, c in ((0, 1), (0, 0), (1, 0), (1, 1), (2, 1), (2, 0)):
            said = json.dumps({"FrameIndex": t, "SliceIndex": 0, "ChannelIndex": c}).encode()
            file.write(FRAMES[2 * t + c], photometric="minisblack", metadata=None, contiguous=False,
                       extratags=[(51123, 2, len(said) + 1, said + b"\0", True)])  # fmt: skip
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"]), FRAMES.reshape(3, 2, 20, 30))


def scanimage(path: Path, saved: str, pages: int = 6) -> Path:
    text = f"SI.VERSION_MAJOR = 2020\nSI.hChannels.channelSave = {saved}\n"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for page in FRAMES[:pages]:
            file.write(page, photometric="minisblack", metadata=None, software=text,
                       contiguous=False)  # fmt: skip
    return path


def test_channels_of_scanimage_take_turns(tmp_path: Path) -> None:
    path = scanimage(tmp_path / "a.tif", "[1;3]")
    np.testing.assert_array_equal(read_captures([path]), FRAMES.reshape(3, 2, 20, 30))
    path = scanimage(tmp_path / "b.tif", "2")
    np.testing.assert_array_equal(read_captures([path])[:, 0], FRAMES)
    for saved, pages in (("[1;2;3]", 6), ("[1;2]", 5)):
        with pytest.raises(FileFormatError, match=f"{pages} pages of . channels in turns"):
            read_captures([scanimage(tmp_path / "c.tif", saved, pages)])


def test_an_orientation_is_told_and_pixels_stay_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", FRAMES[0], metadata=None, extratags=[(274, 3, 1, 4, True)])
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read()[0, 0], FRAMES[0])
        assert "tag Orientation (4)" in series.notes[0]


@pytest.mark.parametrize("suffix", ["pcoraw", "tf8", "btf"])
def test_stacks_of_other_suffixes_are_known_by_their_content(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", FRAMES[:3], bigtiff=True, metadata=None)
    np.testing.assert_array_equal(read_captures([path])[:, 0], FRAMES[:3])


@pytest.mark.parametrize(
    ("per_cm", "expected_um"),
    [(37.8, None), (28.35, None), (300 / 2.54, None), (38, None), (1, None), (10000 / 55, 55.0)],
)
def test_fillers_are_no_pixel_size(
    tmp_path: Path, per_cm: float, expected_um: float | None
) -> None:
    path = write(tmp_path / "a.tif", FRAMES[0], resolution=(per_cm, per_cm),
                 resolutionunit="CENTIMETER")  # fmt: skip
    with open_captures([path]) as series:
        assert series.pixel_size_um == (None if expected_um is None else pytest.approx(expected_um))
        assert ("ignored" in " ".join(series.notes)) == (expected_um is None)
    assert (read_pixel_size_um(path) is None) == (expected_um is None)


def test_a_mask_of_bool_is_read_as_it_was_saved(tmp_path: Path) -> None:
    bad = np.zeros((8, 9), bool)
    bad[3, 4] = True
    tifffile.imwrite(tmp_path / "bad.tif", bad)
    np.testing.assert_array_equal(read_image(tmp_path / "bad.tif"), bad)
    tifffile.imwrite(tmp_path / "bad.tif", bad, metadata=None)  # nothing says who wrote it
    with pytest.raises(FileFormatError, match="save a mask as uint8"):
        read_image(tmp_path / "bad.tif")


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_signed_integers_that_have_wrapped_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    counts = np.full((4, 5), 40_000, np.uint16).view(np.int16)
    dark = np.full((4, 5), -20, np.int16)
    for array in (dark, counts):
        if kind == "tif":
            write(path, array)
        else:
            np.save(path, array)
        if array is dark:
            np.testing.assert_array_equal(read_captures([path])[0], dark)
    with pytest.raises(FileFormatError, match=r"signed 16-bit.*save the image as uint16"):
        read_captures([path])


def test_signed_images_of_imagej_come_without_their_offset(tmp_path: Path) -> None:
    text = "ImageJ=1.53t\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=gray value\n"
    write(tmp_path / "a.tif", FRAMES[0] + 32768, description=text, metadata=None)
    np.testing.assert_array_equal(read_captures([tmp_path / "a.tif"])[0], FRAMES[0])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("kind", ["reduced", "mask"])
def test_smaller_copies_and_masks_in_the_list_of_pages_are_no_frames(
    tmp_path: Path, bigtiff: bool, kind: str
) -> None:
    """Pyramids of libvips and overviews and masks of GDAL lie among the pages."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tiff:
        for frame in FRAMES[:3]:
            tiff.write(frame, metadata=None)
            if kind == "reduced":
                tiff.write(frame[::2, ::2], subfiletype=1, metadata=None)
            else:
                tiff.write(frame > 0, subfiletype=4, metadata=None)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read()[:, 0], FRAMES[:3])
        assert "3 page(s) that are smaller copies or masks" in series.notes[0]


def test_frames_that_are_called_smaller_copies_stay_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for number, frame in enumerate(FRAMES[:3]):
            tiff.write(frame, subfiletype=int(number > 0), metadata=None)
    np.testing.assert_array_equal(read_captures([path])[:, 0], FRAMES[:3])
