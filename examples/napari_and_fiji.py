"""Results for napari and Fiji: OME-TIFF with pixel size and plane depths in um, and back.

In napari, `File > Open` or `viewer.open("map/probability.ome.tif", plugin="fociscope")` shows the
layers at their depths; Fiji opens the same file with Bio-Formats.
"""

from pathlib import Path

import tifffile

import fociscope
from fociscope.files import read_pixel_size_um

scenes = fociscope.simulate(1, seed=0)
result = fociscope.load_model("layers-ab").reconstruct(scenes.captures[0])
result.save("map", formats=("ome-tiff",))

path = Path("map/probability.ome.tif")
with tifffile.TiffFile(path) as file:
    planes, axes = file.asarray(), file.series[0].axes
    metadata = file.ome_metadata
assert planes.shape == result.probability.shape
print(f"{path}: axes {axes}, shape {planes.shape}, {planes.dtype}")
print("pixel size:", read_pixel_size_um(path), "um")
print("plane depths:", [f"{depth:.0f} um" for depth in result.depth_um])
assert 'PositionZUnit="µm"' in metadata
