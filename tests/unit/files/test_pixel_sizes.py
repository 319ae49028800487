"""Pixel sizes that files state: units, fillers, and what is no size."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from fociscope.files import open_captures

FRAMES = np.ones((3, 8, 9), np.uint16)


@pytest.mark.parametrize(
    ("size", "unit", "expected_um", "word"),
    [
        ("0.055", "mm", 55.0, ""),
        ("55000", "nm", 55.0, ""),
        ("5.5e-5", "m", 55.0, ""),
        ("1", "m", None, "which no chip has"),
        ("2.54", "cm", None, "which no chip has"),
        ("1e-6", "m", None, "exactly 1 µm"),
        ("1", "µm", None, "exactly 1 µm"),
        ("55", "nm", None, "which no chip has"),
        ("1", "in", None, ""),
        ("1", "pixel", None, ""),
        ("0", "µm", None, ""),
        ("55,0", "µm", None, "is no number"),
    ],
)
def test_a_size_in_ome_xml(
    tmp_path: Path, size: str, unit: str, expected_um: float | None, word: str
) -> None:
    pixels = f'PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}" ' + (
        f'PhysicalSizeY="{size}" PhysicalSizeYUnit="{unit}"'
    )
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYCZT" Type="uint16" SizeX="9" SizeY="8" SizeZ="1" SizeC="1" SizeT="3" '
        f"{pixels}><TiffData/></Pixels></Image></OME>"
    )
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, FRAMES, description=xml.encode(), metadata=None,
                     photometric="minisblack")  # fmt: skip
    with open_captures([path]) as series:
        assert series.pixel_size_um == (None if expected_um is None else pytest.approx(expected_um))
        notes = " ".join(series.notes)
        assert (word in notes) if word else ("ignored" not in notes)


@pytest.mark.parametrize(
    ("key", "value", "expected_um"),
    [
        ("pixel_size_um", 55.0, 55.0),
        ("element_size_um", [1.0, 55.0, 55.0], 55.0),
        ("element_size_um", [1.0, 1.0, 1.0], None),
        ("pixel_size_um", 1e6, None),
        ("pixel_size_um", 0.055, None),
        ("pixel_size_um", 0.0, None),
    ],
)
def test_a_size_beside_an_array(
    tmp_path: Path, key: str, value: float | list[float], expected_um: float | None
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["captures"] = FRAMES
        file["captures"].attrs[key] = value
    np.savez(tmp_path / "a.npz", captures=FRAMES, pixel_size_um=np.ravel(value)[-1])
    for name in ("a.h5", "a.npz"):
        with open_captures([tmp_path / name]) as series:
            assert series.pixel_size_um == expected_um
