"""Make the picture of docs/locate.md: emitters in a simulated capture, and where they are found.

python docs/make_locate_picture.py
"""

from pathlib import Path

import numpy as np
import torch

from fociscope.figures import draw_emitters
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, locate_captures

IMAGES = Path(__file__).parent / "images"
FRAME_PX = (51, 51)


def main() -> None:
    """Draw 14 emitters anywhere in depth, as sensors A and B see them at 40 dB."""
    imager = Imager.reference()
    rng = np.random.default_rng(11)
    places = np.stack([*rng.uniform(100, 2650, (2, 14)), rng.uniform(60, 940, 14)], 1)
    light = np.exp(rng.normal(0, 0.5, 14))
    images, _ = EmitterResponse(imager, FRAME_PX)(places)
    clean = torch.tensor((light @ images).reshape(2, *FRAME_PX))
    noise = torch.Generator().manual_seed(0)
    capture = imager.camera.at_peak_snr(clean, 40.0, generator=noise).numpy()
    emitters = locate_captures(capture, imager)
    title = f"{len(places)} emitters, {len(emitters)} located"
    figure = draw_emitters(emitters, capture, imager, title)
    figure.savefig(IMAGES / "locate.png", dpi=110)


if __name__ == "__main__":
    main()
