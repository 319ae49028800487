"""One capture pair in, a layered map on disk out: `fociscope reconstruct` from Python."""

from importlib import resources

import fociscope

demo = resources.files("fociscope.demo")  # or "sensor_a.tif" and "sensor_b.tif" of yours
options = fociscope.ReconstructionOptions(
    model="layers-ab", formats=("ome-tiff", "csv"), overwrite=True
)
outcome = fociscope.reconstruct([demo / "sensor_a.tif", demo / "sensor_b.tif"], "map", options)

for layer, (depth_um, std_um) in enumerate(
    zip(outcome.first.depth_um, outcome.first.depth_std_um, strict=True), start=1
):
    print(f"layer {layer}: {depth_um:.0f} ± {std_um:.0f} um below sensor A")
for reason in outcome.warnings:
    print("not to be trusted:", reason)
print("written:", ", ".join(path.name for path in outcome.files))
