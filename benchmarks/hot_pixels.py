"""Hot and dead pixels in captures: what they cost, how many are found, and in clean captures, too.

python benchmarks/hot_pixels.py [scenes]
"""

from __future__ import annotations

import sys

import numpy as np
import torch

import fociscope
from fociscope.reconstruction.outlying import find_outlying

KINDS = ("perlin-foci", "cellular-foci", "dead-leaves", "nuclei", "micro-foci", "any-tissue",
         "single-cells")  # fmt: skip
SHARES = (1 / 2601, 0.001, 0.01)
Array = np.ndarray


def spoilt(clean: Array, share: float, kind: str) -> tuple[Array, Array]:
    """Captures of which a share of each image's pixels holds three times its maximum, or 0."""
    rng, captures, bad = np.random.default_rng(0), clean.copy(), np.zeros(clean.shape, bool)
    for image, mask in zip(captures.reshape(-1, 51 * 51), bad.reshape(-1, 51 * 51), strict=True):
        places = rng.choice(image.size, max(1, round(share * image.size)), replace=False)
        image[places] = 3 * image.max() if kind == "hot" else 0
        mask[places] = True
    return captures, bad


def main(scenes: int) -> None:
    model = fociscope.load_model("layers-ab")
    truth = fociscope.simulate(scenes, seed=901)
    clean = np.array(truth.captures)

    def scores(captures: Array) -> str:
        result = model.reconstruct(captures)
        accuracy = 100 * (result.mask == np.asarray(truth.mask)).mean()
        error_um = np.abs(result.depth_um - np.asarray(truth.depth_um)).mean()
        return f"accuracy {accuracy:.2f} %, depth error {error_um:.2f} um"

    print(f"{scenes} reference scenes, clean: {scores(clean)}")
    for kind in ("hot", "dead"):
        for share in SHARES:
            captures, bad = spoilt(clean, share, kind)
            found = find_outlying(torch.tensor(captures)).numpy()
            print(
                f"{kind}, {max(1, round(share * 2601))} pixels of each sensor: {scores(captures)}; "
                f"found {100 * (found & bad).sum() / bad.sum():.1f} %, of others "
                f"{(found & ~bad).sum()}"
            )
    for kind in KINDS:
        captures = torch.tensor(np.array(fociscope.simulate(96, seed=78, specimen=kind).captures))
        found = find_outlying(captures)
        frames = int(found.flatten(1).any(dim=1).sum())
        print(f"clean, {kind}: {int(found.sum())} pixels in {frames} of 96 captures")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
