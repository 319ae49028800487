"""Make the pictures of docs/specimens.md, and print its table of statistics.

python docs/make_specimen_pictures.py
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fociscope.figures._specimens import draw_specimen, draw_surface
from fociscope.files import atomic_path
from fociscope.simulation import (
    PUBLISHED_STATISTICS,
    SPECIMEN_KINDS,
    ResolutionTarget,
    Rings,
    Surface,
    UserLayers,
    load_specimen,
    simulate,
    specimen_statistics,
)
from fociscope.simulation.targets import Target

IMAGES = Path(__file__).parent / "images"
SCENES, SEED = 400, 12


def main() -> None:
    """Write a picture of each kind and print the table."""
    for name in SPECIMEN_KINDS:
        if name == "user-layers":  # needs files: below
            continue
        title, specimen = name, load_specimen(name)
        if isinstance(specimen, ResolutionTarget):
            pairs = ", ".join(f"{p:.3g}" for p in specimen.line_pairs_per_mm)
            title = f"{name}: {pairs} line pairs per mm from top to bottom"
        even = isinstance(specimen, Target)
        save(draw_specimen(specimen, title=title, scale="linear" if even else "square-root"), name)
    rings = Rings(emission="cells", placement="centred")
    save(draw_specimen(rings, title="rings of cells, centred"), "rings-of-cells")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mask.npy"
        np.save(file, lettering())
        save(draw_specimen(UserLayers(files=(file,), emission="cells")), "user-layers")
    surface = Surface(tilt_deg=8.0, sagitta_um=150.0)
    save(draw_surface(surface), "surface")
    print_statistics()


def save(figure: Figure, name: str) -> None:
    """Write one picture."""
    with atomic_path(IMAGES / f"specimen-{name}.png", overwrite=True) as part:
        figure.savefig(part)


def lettering() -> np.ndarray:
    """Return a mask that nobody would take for tissue: the letters F and A on 51 x 51 pixels."""
    mask = np.zeros((51, 51), np.uint8)
    mask[10:41, 6:11] = mask[10:15, 6:23] = mask[23:28, 6:19] = 1
    mask[10:41, 29:34] = mask[10:41, 41:46] = mask[10:15, 29:46] = mask[23:28, 29:46] = 1
    return mask


def print_statistics() -> None:
    """Print what was measured on the sample figure beside the default specimen, as Markdown."""
    scenes = simulate(SCENES, seed=SEED, peak_snr_db=None)
    all_layers = specimen_statistics(scenes.layers, scenes.mask)
    each = [specimen_statistics(*scene) for scene in zip(scenes.layers, scenes.mask, strict=True)]
    print(f"{SCENES} scenes of {scenes.mask.shape[1]} layers, seed {SEED}\n")
    print("| statistic | sample figure | simulated | tolerance | 5 to 95 % of single scenes |")
    print("|---|---|---|---|---|")
    for name, published in PUBLISHED_STATISTICS.items():
        low, high = np.quantile([scene[name] for scene in each], (0.05, 0.95))
        print(
            f"| {name} | {published.value:g} | {all_layers[name]:.2f} | "
            f"± {published.tolerance:.2g} | {low:.2f} to {high:.2f} |"
        )


if __name__ == "__main__":
    main()
