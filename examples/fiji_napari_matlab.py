"""Results in Fiji, napari and MATLAB: what each program opens, and what it finds in it.

    python examples/fiji_napari_matlab.py [FOLDER]

Takes 4 s on one core. Nothing but Fociscope is needed to run it: every file is read back here.
"""

import csv
import sys
import tempfile
from pathlib import Path

import scipy.io
import tifffile
import zarr

import fociscope
from fociscope.files import read_pixel_size_um

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))

scenes = fociscope.simulate(1, seed=0)
result = fociscope.load_model("layers-ab").reconstruct(scenes.captures[0])
result.save(folder, formats=("ome-tiff", "ome-zarr", "csv", "mat"), overwrite=True)

# Fiji: File > Import > Bio-Formats, probability.ome.tif; File > Import > Results, foci.csv.
with tifffile.TiffFile(folder / "probability.ome.tif") as file:
    image = file.series[0]
    print(f"Fiji: axes {image.axes}, shape {image.shape}, {image.dtype}")
    assert 'PositionZUnit="µm"' in file.ome_metadata
print("      pixel size", read_pixel_size_um(folder / "probability.ome.tif"), "um")
with (folder / "foci.csv").open(newline="") as table:
    surest = next(csv.DictReader(table))
print(f"      the surest focus: x {surest['x_um']}, y {surest['y_um']}, z {surest['depth_um']} um")

# napari: napari FOLDER/summary.json, with each layer at its depth and a point on each focus.
store = zarr.open_group(folder / "reconstruction.ome.zarr", mode="r")
print("napari: channel, z, y, x =", store["0"].shape)

# MATLAB: load reconstruction.mat; squeeze(depth_map(1, :, :, :)), in mm.
variables = scipy.io.loadmat(folder / "reconstruction.mat")
print("MATLAB:", {name: value.shape for name, value in variables.items() if name[0] != "_"})

result.plot(title="the same map, as figure.png").savefig(folder / "map.png")
