"""A saved volume in napari, without napari: its voxels lie where they are, in micrometres."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.imager import Imager
from fociscope.napari_plugin.reader import get_reader
from fociscope.networks import FieldCorrelation, VolumeCopula
from fociscope.results import VolumeMap
from fociscope.results.volume_map import write_volume

SCALES = FieldCorrelation(lateral_um=100.0)


def save(folder: Path, samples: int = 0) -> VolumeMap:
    probability = np.zeros((10, 40, 36), np.float32)
    probability[4, 20:23, 11:14] = 0.9
    captures = np.ones((2, 40, 36), np.float32)
    volume = VolumeMap(
        probability,
        7 * probability,
        np.arange(50.0, 1000, 100).astype(np.float32),
        captures,
        captures,
        Imager.reference().with_(pixel_pitch_um=20.0),
        "own",
        copula=VolumeCopula(presence=SCALES, depth=SCALES, axial_um=100.0),
    )
    drawn = volume.samples(samples) if samples else None
    write_volume(volume, folder, ("ome-tiff", "csv"), samples=drawn)
    return volume


def opened(path: Path) -> dict[str, tuple]:
    reader = get_reader(str(path))
    assert reader is not None
    return {layer[1]["name"]: layer for layer in reader(str(path))}


@pytest.mark.parametrize("name", ["summary.json", "probability.ome.tif", "intensity.ome.tif"])
def test_a_volume_opens_at_its_depths_in_um(tmp_path: Path, name: str) -> None:
    volume = save(tmp_path)
    layers = opened(tmp_path / name)
    assert list(layers) == ["light", "P(cells)", "foci"]
    values, looks, kind = layers["P(cells)"]
    np.testing.assert_array_equal(values, volume.probability)
    assert kind == "image"
    assert looks["scale"] == (100.0, 20.0, 20.0)
    assert looks["translate"] == (50.0, 10.0, 10.0)
    assert looks["units"] == ("um", "um", "um")
    points, _, kind = layers["foci"]
    assert kind == "points"
    # The middle of a focus lies at the middle of its voxels.
    np.testing.assert_allclose(points, [[450.0, 21.5 * 20, 12.5 * 20]])


def test_spread_of_samples_opens_with_it(tmp_path: Path) -> None:
    save(tmp_path, samples=8)
    layers = opened(tmp_path / "intensity_std.ome.tif")
    assert list(layers) == ["light", "spread of light", "P(cells)", "foci"]
    assert not layers["spread of light"][1]["visible"]


def test_an_image_of_another_volume_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    tifffile.imwrite(tmp_path / "intensity.ome.tif", np.zeros((3, 40, 36), np.float32))
    reader = get_reader(str(tmp_path / "summary.json"))
    assert reader is not None
    with pytest.raises(FileFormatError):
        reader(str(tmp_path / "summary.json"))
