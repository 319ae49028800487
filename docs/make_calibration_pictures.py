"""Make the pictures of docs/calibrate.md: calibrate simulated beads and a simulated target.

python docs/make_calibration_pictures.py
"""

import tempfile
from pathlib import Path

import numpy as np

from fociscope.calibration import MeasuredStack, calibrate_beads, calibrate_target, simulated_stack
from fociscope.figures.calibration import draw_calibration
from fociscope.imager import AngleSelectivePsf, Imager

IMAGES = Path(__file__).parent / "images"
PITCH_UM = 55.0
DEPTH_UM = np.array([50.0, 200.0, 400.0, 600.0, 800.0, 950.0])
TRUE = Imager(
    psf=AngleSelectivePsf(half_angle_deg=16, base_blur_um=15),
    registration={"shift_um": (38.0, -61.0), "rotation_deg": 0.4},
    sensor_gains=(1.0, 0.85),
)


def beads() -> MeasuredStack:
    """Return four beads of unequal brightness, somewhere between the pixels."""
    places = np.array([[-12.3, -11.8], [-11.6, 12.4], [12.2, -12.1], [11.9, 11.7]])
    return simulated_stack(TRUE, places * PITCH_UM, DEPTH_UM, brightness=[1, 0.7, 0.9, 0.5], seed=1)


def target() -> tuple[MeasuredStack, np.ndarray]:
    """Return captures of thirty points on the target's grid, and the target."""
    rng = np.random.default_rng(2)
    light = np.zeros((51, 51), np.float32)
    rows, columns = rng.integers(7, 44, (2, 30))
    light[rows, columns] = rng.uniform(0.4, 1, 30)
    points = np.argwhere(light > 0)
    stack = simulated_stack(
        TRUE, (points - 25.0) * PITCH_UM, DEPTH_UM, brightness=light[light > 0], seed=3
    )
    return stack, light


def main() -> None:
    """Draw both calibrations, and leave the bead stack where the page's command finds it."""
    IMAGES.mkdir(exist_ok=True)
    stack = beads()
    folder = Path(tempfile.gettempdir()) / "fociscope-calibration"
    folder.mkdir(exist_ok=True)
    np.save(folder / "beads.npy", np.moveaxis(stack.counts, 0, 1).astype(np.float32))
    start = Imager()
    draw_calibration(calibrate_beads(stack, imager=start), "beads.npy").savefig(
        IMAGES / "calibration-beads.png"
    )
    draw_calibration(calibrate_target(*target(), imager=start), "target").savefig(
        IMAGES / "calibration-target.png"
    )


if __name__ == "__main__":
    main()
