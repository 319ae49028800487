"""Make the pictures of docs/specimens.md, and print its table of statistics.

python docs/make_specimen_pictures.py
"""

import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from fociscope.figures._specimens import _outline, draw_specimen, draw_surface
from fociscope.figures.style import STYLE, draw_image, draw_scale_bar
from fociscope.files import atomic_path
from fociscope.simulation import (
    PUBLISHED_STATISTICS,
    SPECIMEN_KINDS,
    AnyTissue,
    DrawnFrame,
    Dust,
    Mixture,
    MixturePart,
    Nuclei,
    ResolutionTarget,
    Rings,
    Sheets,
    SingleCells,
    Specimen,
    Surface,
    UserLayers,
    Varied,
    load_specimen,
    simulate,
    specimen_statistics,
)
from fociscope.simulation.targets import Target

IMAGES = Path(__file__).parent / "images"
SCENES, SEED = 400, 12
#: Kinds that have a picture of another sort, below; one layer shows little of a mixture.
ELSEWHERE = ("user-layers", "varied", "mixture", "any-tissue")
#: Seed of a kind's picture where the first one shows little of it.
PICTURE_SEEDS = {"strands": 10, "glands": 8}


def main() -> None:
    """Write a picture of each kind and print the table."""
    for name in SPECIMEN_KINDS:
        if name in ELSEWHERE:
            continue
        title, specimen = name, load_specimen(name)
        if isinstance(specimen, ResolutionTarget):
            pairs = ", ".join(f"{p:.3g}" for p in specimen.line_pairs_per_mm)
            title = f"{name}: {pairs} line pairs per mm from top to bottom"
        even = isinstance(specimen, Target)
        seed = PICTURE_SEEDS.get(name, 0)
        figure = draw_specimen(
            specimen, title=title, scale="linear" if even else "square-root", seed=seed
        )
        save(figure, name)
    rings = Rings(emission="cells", placement="centred")
    save(draw_specimen(rings, title="rings of cells, centred"), "rings-of-cells")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mask.npy"
        np.save(file, lettering())
        save(draw_specimen(UserLayers(files=(file,), emission="cells")), "user-layers")
    surface = Surface(tilt_deg=8.0, sagitta_um=150.0)
    save(draw_surface(surface), "surface")
    draw_galleries()
    print_statistics()


def draw_galleries() -> None:
    """Write the pictures that show several layers side by side."""
    cells = {
        "poisson": SingleCells(cells_per_mm2=15.0),
        "clustered": SingleCells(cells_per_mm2=15.0, process="clustered"),
        "repulsive": SingleCells(cells_per_mm2=20.0, process="repulsive"),
    }
    save(gallery(list(cells.items())), "processes")
    tiles = Varied(specimen=load_specimen("cellular-foci"), vary={"tile_um": (100.0, 1200.0)})
    save(gallery([(f"scene {n + 1}", tiles) for n in range(4)], first_seed=5), "varied")
    parts = (
        MixturePart(share=1, specimen=Nuclei(nuclei_per_mm2=2.0)),
        MixturePart(share=1, specimen=SingleCells(cells_per_mm2=6.0)),
    )
    mixture = Mixture(parts=parts, together=0.5)
    save(gallery([(f"scene {n + 1}", mixture) for n in range(5)], first_seed=2), "mixture")
    tissue = AnyTissue()
    save(gallery([(f"scene {n + 1}", tissue) for n in range(15)], first_seed=40), "any-tissue")
    sheet: dict[str, Any] = {"coverage": (0.7, 0.7), "brightness_sigma": 0.2}
    light = {
        "as it is": Sheets(**sheet),
        "excitation varies by 80 %": Sheets(**sheet, illumination_variation=(0.8, 0.8)),
        "dust": Sheets(**sheet, dust=Dust(specks_per_mm2=3.0)),
        "autofluorescence": Sheets(
            **sheet,
            autofluorescence=(0.5, 0.5),
            autofluorescence_cv=0.6,
            autofluorescence_feature_um=400.0,
        ),
    }
    save(gallery(list(light.items()), first_seed=3, one_seed=True), "light")


def gallery(
    panels: list[tuple[str, Specimen]], *, first_seed: int = 0, one_seed: bool = False
) -> Figure:
    """Draw the light and the outlined mask of one layer of each specimen, up to five in a row."""
    columns = min(len(panels), 5)
    rows = -(-len(panels) // columns)
    frame = DrawnFrame((51, 51), pixel_pitch_um=55.0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.7 * columns, 1.95 * rows), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, (title, specimen) in enumerate(panels):
            seed = first_seed + (0 if one_seed else number)
            light, mask = specimen.draw_scene(np.random.default_rng(seed), 1, frame)
            norm = PowerNorm(0.5, 0, float(light.max()), clip=True)
            draw_image(axes[number], light[0], "magma", norm=norm)
            _outline(axes[number], mask[0])
            axes[number].set_title(title, fontsize=8)
        draw_scale_bar(axes[0], frame.pixel_pitch_um, 51)
    return figure


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
