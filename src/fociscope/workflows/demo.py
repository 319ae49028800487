"""The demo: the whole job done on the shipped example, held against the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from fociscope.demo import CAPTURES, TRUTH
from fociscope.evaluation.metrics import MaskScores, mask_scores
from fociscope.figures.reconstruction import Truth, draw_comparison, draw_reconstruction
from fociscope.files import atomic_folder, read_captures, read_images_depth
from fociscope.reconstruction import load_model
from fociscope.results import Reconstruction
from fociscope.results.provenance import provenance
from fociscope.results.writers import DEFAULT_FORMATS, write_result
from fociscope.typing import Float32Array

__all__ = ["DemoResult", "run_demo"]


@dataclass(frozen=True)
class DemoResult:
    """What the demo found, and how right it is."""

    result: Reconstruction
    truth: Truth
    scores: MaskScores
    files: list[Path]

    @property
    def depth_error_um(self) -> Float32Array:
        """(layer,) absolute error of the depth."""
        return np.asarray(np.abs(self.result.depth_um - self.truth.depth_um))


def run_demo(folder: Path, *, device: str = "auto", overwrite: bool = False) -> DemoResult:
    """Reconstruct the shipped pair and write captures, maps and pictures into `folder`.

    Raises:
        OutputExistsError: the folder holds something, and `overwrite` was not asked for.
    """
    here = resources.files("fociscope.demo")
    with (
        atomic_folder(folder, overwrite=overwrite) as part,
        resources.as_file(here / TRUTH) as truth_file,
    ):
        for name in CAPTURES:
            with resources.as_file(here / name) as capture:
                shutil.copyfile(capture, part / name)
        captures = read_captures([part / name for name in CAPTURES])
        scene = read_images_depth(truth_file)
        assert scene.depth_map_um is not None
        assert scene.depth_um is not None
        truth = Truth(mask=scene.depth_map_um[0] > 0, depth_um=scene.depth_um[0])

        result = load_model("layers-ab", device=device).reconstruct(captures)
        sources = provenance([part / name for name in CAPTURES], "layers-ab")
        names = [path.name for path in write_result(result, part, DEFAULT_FORMATS, **sources)]
        for name, figure in (
            ("figure.png", draw_reconstruction(result, "Demo: one capture pair, reconstructed")),
            ("comparison.png", draw_comparison(result, truth, "Demo: map beside the truth")),
        ):
            figure.savefig(part / name)
            names.append(name)
    return DemoResult(
        result=result,
        truth=truth,
        scores=mask_scores(result.mask, truth.mask),
        files=[folder / name for name in [*names, *CAPTURES]],
    )
