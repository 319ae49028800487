"""The demo: the whole job done on the shipped example, held against the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from fociscope.demo import CAPTURES, TRUTH
from fociscope.evaluation.metrics import MaskScores, mask_scores
from fociscope.figures.reconstruction import Truth, draw_comparison
from fociscope.files import read_images_depth
from fociscope.results import Reconstruction
from fociscope.results.writers import result_folder
from fociscope.series.options import ReconstructionOptions
from fociscope.typing import Float32Array
from fociscope.workflows._reconstruct import reconstruct

__all__ = ["DemoResult", "run_demo"]

COMPARISON = "comparison.png"


@dataclass(frozen=True)
class DemoResult:
    """Map of the shipped captures, their truth, and scores of the one against the other.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from fociscope.workflows import run_demo
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     demo = run_demo(Path(folder))
        >>> demo.depth_error_um.shape
        (4,)
    """

    result: Reconstruction
    """Map of the capture pair."""
    truth: Truth
    """Masks and depths of the layers that were simulated."""
    scores: MaskScores
    """Scores of the masks, (layer,), beside those of the constant baseline."""
    files: list[Path]
    """Files that were written."""

    @property
    def depth_error_um(self) -> Float32Array:
        """(layer,) absolute error of the depth, um."""
        return np.asarray(np.abs(self.result.depth_um - self.truth.depth_um))


def run_demo(folder: Path, *, device: str = "auto", overwrite: bool = False) -> DemoResult:
    """Reconstruct the shipped pair and write captures, maps and pictures into a folder.

    Args:
        folder: Folder of the results, new or empty.
        device: Device to compute on: `auto`, `cpu`, `cuda` or `mps`.
        overwrite: Whether results that are there are replaced.

    Returns:
        Map, truth, scores and files.

    Raises:
        OutputExistsError: if the folder is not empty, and `overwrite` is not set.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from fociscope.workflows import run_demo
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     demo = run_demo(Path(folder))
        >>> bool(demo.scores.accuracy.mean() > demo.scores.constant_accuracy.mean())
        True
    """
    here = resources.files("fociscope.demo")
    with (
        result_folder(folder, overwrite) as part,
        resources.as_file(here / TRUTH) as truth_file,
    ):
        for name in CAPTURES:
            with resources.as_file(here / name) as capture:
                shutil.copyfile(capture, part / name)
        scene = read_images_depth(truth_file)
        assert scene.depth_map_um is not None
        assert scene.depth_um is not None
        truth = Truth(mask=scene.depth_map_um[0] > 0, depth_um=scene.depth_um[0])
        outcome = reconstruct(
            [part / name for name in CAPTURES],
            part,
            ReconstructionOptions(device=device, overwrite=True),  # beside the captures
            title="Demo: one capture pair, reconstructed",
        )
        result = outcome.first
        assert result is not None
        draw_comparison(result, truth, "Demo: map beside the truth").savefig(part / COMPARISON)
        names = [*(path.name for path in outcome.files), COMPARISON, *CAPTURES]
    return DemoResult(
        result=result,
        truth=truth,
        scores=mask_scores(result.mask, truth.mask),
        files=[folder / name for name in names],
    )
