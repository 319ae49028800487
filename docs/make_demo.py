"""Make the example that `fociscope demo` reconstructs: the first scene of a seed of its own.

    python docs/make_demo.py

It rewrites the files under `src/fociscope/demo`. The scene was not picked for its result.
"""

from pathlib import Path

import numpy as np
import tifffile

from fociscope.files import write_images_depth
from fociscope.simulation import simulate
from fociscope.simulation.dataset import images_depth

SEED = 505
HERE = Path(__file__).parent.parent / "src" / "fociscope" / "demo"
PITCH_UM = 55.0


def main() -> None:
    """Write both captures as 16-bit TIFF, and the truth in the published layout."""
    scenes = simulate(1, seed=SEED, peak_snr_db=40.0)
    for name, image in zip(("sensor_a.tif", "sensor_b.tif"), scenes.captures[0], strict=True):
        counts = np.clip(np.round(image / image.max() * 60_000), 0, 65_535).astype(np.uint16)
        tifffile.imwrite(
            HERE / name,
            counts,
            imagej=True,
            resolution=(1 / PITCH_UM, 1 / PITCH_UM),
            metadata={"unit": "um"},
        )
    write_images_depth(HERE / "truth.mat", images_depth(scenes), overwrite=True)


if __name__ == "__main__":
    main()
