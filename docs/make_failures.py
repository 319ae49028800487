"""Draw the gallery of docs/failures.md: one fault a picture, and what the package says of it.

python docs/make_failures.py [NAME ...]

Each picture has two captures of one scene: as it should be, and with the fault. Outlines are the
true foci. What the package's checks say goes to docs/failures/NAME.txt, which the page shows.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from make_examples import keep_picture
from matplotlib.figure import Figure

import fociscope
from fociscope.errors import FociscopeWarning
from fociscope.figures import STYLE, draw_image
from fociscope.imager import Imager, Registration
from fociscope.simulation import Scenes, Surface

DOCS = Path(__file__).parent
PICTURES, SAID = DOCS / "images" / "failures", DOCS / "failures"
SEED, PEAK_COUNTS = 6, 850.0


@dataclass(frozen=True)
class Case:
    """A scene with its counts, (sensor, y, x), and the imager that the reconstruction is told."""

    scenes: Scenes
    counts: np.ndarray
    imager: Imager


def healthy(imager: Imager | None = None, layers: int = 4, **more: object) -> Case:
    """Return the scene as it should be."""
    imager = imager or Imager.reference()
    scenes = fociscope.simulate(1, seed=SEED, layers=layers, imager=imager, **more)
    counts = scenes.captures[0] / scenes.captures.max() * PEAK_COUNTS
    return Case(scenes, counts, Imager.reference())


def changed(change: Callable[[np.ndarray], np.ndarray]) -> Case:
    """Return the healthy scene with other counts."""
    case = healthy()
    return Case(case.scenes, change(case.counts), case.imager)


def wrong_psf() -> Case:
    """A chip of 12 degrees, described as one of 18."""
    return healthy(
        Imager.reference().with_(psf=fociscope.imager.AngleSelectivePsf(half_angle_deg=12))
    )


def moved_b() -> Case:
    """Sensor B lies 165 um and 110 um beside where the imager says."""
    return healthy(Imager.reference().with_(registration=Registration(shift_um=(165.0, 110.0))))


def dust(counts: np.ndarray) -> np.ndarray:
    """Three opaque grains on sensor A, the largest of six pixels across."""
    y, x = np.mgrid[:51, :51]
    light = np.ones((51, 51))
    for row, column, radius in ((14, 30, 3.0), (30, 12, 2.0), (38, 36, 2.5)):
        light[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = 0.1
    return counts * np.stack([light, np.ones_like(light)])


def hot_pixels(counts: np.ndarray) -> np.ndarray:
    """Twelve pixels of each sensor that add 60 % of the largest count: too little to be certain."""
    rng = np.random.default_rng(1)
    hot = counts.copy()
    for image in hot:
        rows, columns = rng.integers(0, 51, (2, 12))
        image[rows, columns] += 0.6 * counts.max()
    return hot


def noisy() -> Case:
    """The same scene at a peak SNR of 12 dB."""
    return healthy(peak_snr_db=12.0)


def unlike_training() -> Case:
    """One layer that is tilted: no flat one."""
    return healthy(layers=1, surface=Surface(tilt_deg=30.0))


FAULTS: dict[str, tuple[str, Callable[[], Case]]] = {
    "wrong-psf": ("the chip accepts 12°, its file says 18°", wrong_psf),
    "black-level": ("100 counts without light", lambda: changed(lambda c: c + 100)),
    "dust": ("three grains on sensor A", lambda: changed(dust)),
    "moved-b": ("sensor B lies 165 and 110 µm aside", moved_b),
    "saturation": (
        "full at 35 % of the brightest pixel",
        lambda: changed(lambda c: c.clip(max=0.35 * PEAK_COUNTS)),
    ),
    "hot-pixels": ("twelve warm pixels a sensor", lambda: changed(hot_pixels)),
    "noise": ("peak SNR of 12 dB", noisy),
    "unlike-training": ("one layer, tilted", unlike_training),
}


def reconstructed(case: Case) -> tuple[fociscope.Reconstruction, str]:
    """Return what `fociscope reconstruct` makes of the counts, and what it says."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FociscopeWarning)
        path = Path(folder) / "capture.npy"
        np.save(path, case.counts[None].astype(np.float32))
        options = fociscope.ReconstructionOptions(imager=case.imager, formats=("csv",))
        outcome = fociscope.reconstruct(path, Path(folder) / "map", options)
    result = outcome.first.frame(0)
    lines = ["residual A {:.1f} %, B {:.1f} %".format(*(100 * result.residual))]
    said = [*outcome.warnings, *(one.message for one in caught)]
    lines += [f"warning: {one}" for one in dict.fromkeys(map(str, said))] or ["no warning"]
    return result, "\n".join(lines) + "\n"


def draw_row(axes: np.ndarray, case: Case, result: fociscope.Reconstruction, name: str) -> None:
    """Draw both captures and the probability of each layer."""
    for column, image in enumerate(case.counts):
        draw_image(axes[column], image, "gray", vmin=0, vmax=case.counts.max())
        axes[column].set_title(f"sensor {'AB'[column]}", fontsize=8)
    axes[0].set_ylabel(name, fontsize=8)
    truth = case.scenes
    for layer, at in enumerate(axes[2:]):
        draw_image(at, result.probability[layer], "magma", vmin=0, vmax=1)
        there = f"{result.depth_um[layer]:.0f} ± {result.depth_std_um[layer]:.0f}"
        true = f"true {truth.depth_map_um[truth.mask].min():.0f} to "
        true += f"{truth.depth_map_um[truth.mask].max():.0f}"
        if truth.surface_um is None:
            true = f"true {truth.depth_um[0, layer]:.0f}"
        outline = truth.mask[0, min(layer, truth.mask.shape[1] - 1)]
        at.contour(outline, [0.5], colors="#66ccee", linewidths=0.7)
        if result.presence[layer] < 0.5:
            there, true = "no layer", "none further"
        at.set_title(f"{there} µm ({true})".replace("layer µm", "layer"), fontsize=8)


def draw(name: str) -> None:
    """Draw one fault, and write what is said of it."""
    title, make = FAULTS[name]
    rows = (("as it should be", healthy()), ("with the fault", make()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.2), dpi=120, layout="constrained")
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
        grid = figure.subplots(2, 6)
        for axes, (row, case) in zip(grid, rows, strict=True):
            result, said = reconstructed(case)
            draw_row(axes, case, result, row)
            print(f"{name}, {row}: {said.splitlines()[0]}", flush=True)
        (SAID / f"{name}.txt").write_text(said, encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            figure.savefig(Path(folder) / "drawn.png")
            keep_picture(Path(folder) / "drawn.png", PICTURES / f"{name}.png")


def main() -> None:
    """Draw the faults that are named, or all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    SAID.mkdir(exist_ok=True)
    for name in sys.argv[1:] or FAULTS:
        draw(name)
        print(name, (SAID / f"{name}.txt").read_text(encoding="utf-8"), sep="\n", flush=True)


if __name__ == "__main__":
    main()
