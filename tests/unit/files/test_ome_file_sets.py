"""OME-TIFF whose planes lie in many files, each of which has the XML of all of them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures
from fociscope.files.images._tiff_taken import taken_times

FRAMES = np.arange(3 * 2 * 20, dtype=np.uint16).reshape(3, 2, 4, 5)
"""(frame, channel, y, x)."""


def write_set(folder: Path, name: str, *, has_uuid: bool = True) -> list[Path]:
    """Files named by their channel `{c}` and time `{t}`, as Bio-Formats writes sets."""
    folder.mkdir(exist_ok=True)
    files: dict[str, list[tuple[int, int]]] = {}
    for t in range(3):
        for c in range(2):
            files.setdefault(name.format(t=t, c=c), []).append((t, c))
    data = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="0" IFD="{page}" PlaneCount="1">'
        f'<UUID FileName="{file}">{f"urn:uuid:{file}" if has_uuid else ""}</UUID></TiffData>'
        for file, places in files.items()
        for page, (t, c) in enumerate(places)
    )
    planes = "".join(
        f'<Plane TheT="{t}" TheC="{c}" TheZ="0" DeltaT="{t * 1.5 + 1}"/>'
        for t in range(3) for c in range(2)
    )  # fmt: skip
    for file, places in files.items():
        text = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{f"urn:uuid:{file}" if has_uuid else ""}"><Image ID="Image:0">'
            "<AcquisitionDate>2024-05-01T12:00:00</AcquisitionDate>"
            '<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="5" SizeY="4" SizeZ="1" SizeC="2" '
            f'SizeT="3" PhysicalSizeX="5.5" PhysicalSizeY="5.5"><Channel Name="camB"/>'
            f'<Channel Name="camA"/>{data}{planes}</Pixels></Image></OME>'
        )
        pages = np.stack([FRAMES[place] for place in places])
        tifffile.imwrite(folder / file, pages, photometric="minisblack", metadata=None,
                         description=text.encode())  # fmt: skip
    return [folder / file for file in files]


@pytest.mark.parametrize("has_uuid", [True, False])
def test_a_file_for_each_channel(tmp_path: Path, has_uuid: bool) -> None:
    files = write_set(tmp_path, "run_C{c}.ome.tif", has_uuid=has_uuid)
    with open_captures(files) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        assert series.pixel_size_um == 5.5
        assert series.time_s == (1.0, 2.5, 4.0)
        assert "one of 2 files of an OME-TIFF set; the 3 plane(s) of 6" in series.notes[0]


def test_a_file_for_each_time_with_channels_in_reverse(tmp_path: Path) -> None:
    files = write_set(tmp_path, "run_T{t}.ome.tif")
    with open_captures(files) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[:, ::-1])  # by the channels' names
    with open_captures(files[1]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES[1:2, ::-1])


def test_a_file_for_each_plane(tmp_path: Path) -> None:
    files = write_set(tmp_path, "run_Ch{c}_{t}.ome.tif")
    with open_captures(tmp_path) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
    of_a = [file for file in files if "Ch0" in file.name]
    times, step_s = taken_times(of_a) or ((), None)
    assert np.diff(times).tolist() == [1.5, 1.5]
    assert step_s == 0


def test_files_that_were_renamed_go_by_their_uuid(tmp_path: Path) -> None:
    first, second = write_set(tmp_path, "run_C{c}.ome.tif")
    swapped = first.rename(tmp_path / "x.tif"), second.rename(first)
    with open_captures(swapped) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
    first, _ = write_set(tmp_path, "run_C{c}.ome.tif", has_uuid=False)
    with pytest.raises(FileFormatError, match="claims 3 T x 2 C but holds 3 pages"):
        open_captures(first.rename(tmp_path / "y.tif")).__enter__()


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('SizeT="3"', 'SizeT="3000000000"'),
        ('IFD="1"', 'IFD="-1"'),
        ('FirstT="1"', 'FirstT="7"'),
        ('PlaneCount="1"', 'PlaneCount="999999999"'),
        ('IFD="1"', 'IFD="x"'),
    ],
)
def test_sets_that_cannot_be_are_refused(tmp_path: Path, said: str, instead: str) -> None:
    (first, _) = write_set(tmp_path, "run_C{c}.ome.tif")
    with tifffile.TiffFile(first) as tiff:
        text, pages = str(tiff.pages[0].tags[270].value), tiff.asarray(key=slice(None))
    tifffile.imwrite(first, pages, photometric="minisblack", metadata=None,
                     description=text.replace(said, instead).encode())  # fmt: skip
    with pytest.raises(FileFormatError):
        open_captures(first).__enter__()
