"""One capture pair in, a layered map on disk out: `fociscope reconstruct` from Python.

    python examples/one_capture.py [FOLDER]

Takes 4 s on one core. FOLDER gets the results; without it, a temporary one.
"""

import sys
import tempfile
from importlib import resources
from pathlib import Path

import fociscope

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))

demo = resources.files("fociscope.demo")  # in its place: the folder of your captures
options = fociscope.ReconstructionOptions(formats=("ome-tiff", "csv"), overwrite=True)
outcome = fociscope.reconstruct(
    [demo / "sensor_a.tif", demo / "sensor_b.tif"], folder / "map", options
)

result = outcome.first
for layer in range(len(result.depth_um)):
    print(
        f"layer {layer + 1}: {result.depth_um[layer]:.0f} ± {result.depth_std_um[layer]:.0f} um "
        f"below sensor A, cells on {100 * result.mask[layer].mean():.1f} %"
    )
for reason in outcome.warnings:
    print("not to be trusted:", reason)
result.plot(title="the pair that comes with Fociscope").savefig(folder / "map.png")
print(f"written to {folder}/map:", ", ".join(path.name for path in outcome.files))
