"""The recipe of an adaptation: the chip as it was found, and tissue as it was seen."""

from __future__ import annotations

from typing import Any

from fociscope.adaptation.chip import on_small_frame
from fociscope.errors import ModelError
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.networks.store import ModelInfo
from fociscope.simulation.base import Specimen
from fociscope.training.recipe import Recipe

__all__ = ["adaptation_recipe", "separation_um"]

#: Half widths of the family around the chip: half angle in degrees, base blur in pixels, and
#: peak SNR in dB.
ANGLE_DEG, BLUR_PX, SNR_DB = 1.5, 0.3, 5.0
#: Deviations of the conditioning from the true imager, in scenes where it is not exact.
ANGLE_STD_DEG, BLUR_STD_PX, EXACT_FRACTION = 0.7, 0.1, 0.7
#: Scenes that are drawn before the first step, in chunks of 32; those of each validation, and
#: those that the network is calibrated on: fewer than a shipped model's, for a smaller family.
POOL_CHUNKS, VALIDATIONS, VALIDATION_SCENES = 32, 4, 160
OPTIMISATION = {
    "learning_rate": 5e-4,
    "ema_decay": 0.98,
    "depth_weight": 6.0,
    "precision": "auto",
    "threads": 1,
}
CALIBRATION = {"scenes": 600, "family_scenes": 480, "psf_width_scenes": 1280}
#: Least distance of neighbouring layers that leaves so many of them room, as a share of the gap.
_SEPARATION = {1: 0.0, 2: 0.25, 3: 0.25, 4: 0.25, 5: 0.2, 6: 0.15}


def separation_um(layers: int, gap_um: float) -> float:
    """Return the least distance of neighbouring layers that scenes are drawn with, um.

    Args:
        layers: Number of layers.
        gap_um: Gap between the sensors, um.

    Examples:
        >>> from fociscope.adaptation.recipe import separation_um
        >>> separation_um(4, 1000.0)
        250.0
    """
    return _SEPARATION[layers] * gap_um


def adaptation_recipe(
    info: ModelInfo,
    imager: Imager,
    tissue: Specimen,
    *,
    name: str,
    peak_snr_db: float,
    layers: int,
    steps: int,
    seed: int = 0,
) -> Recipe:
    """Return the recipe by which a model is adapted to a chip and its tissue.

    Args:
        info: Description of the model that the adaptation starts from.
        imager: The chip, as it is believed to be.
        tissue: Specimen to train, choose and calibrate on.
        name: Name of the new model.
        peak_snr_db: Median peak SNR of its captures, dB.
        layers: Number of layers that the model looks for.
        steps: Optimisation steps, a multiple of `VALIDATIONS`.
        seed: Seed; equal seeds give equal models.

    Returns:
        A recipe without stages, for `fociscope.training.train` with `start_from`.

    Raises:
        ModelError: If training cannot vary such a PSF.
        RecipeError: If the chip lies outside what training can simulate.

    Examples:
        >>> from fociscope.adaptation import adaptation_recipe
        >>> from fociscope.imager import Imager
        >>> from fociscope.networks import find_model, read_model
        >>> from fociscope.simulation import AnyTissue
        >>> _, info = read_model(find_model("layers-ab"))
        >>> recipe = adaptation_recipe(
        ...     info, Imager.reference(), AnyTissue(),
        ...     name="mine", peak_snr_db=40.0, layers=4, steps=600,
        ... )
        >>> recipe.family.half_angle_deg, recipe.optimisation.steps
        ((16.5, 19.5), 600)
    """
    psf = imager.psf
    if not isinstance(psf, AngleSelectivePsf):
        raise ModelError(
            f"adapting varies half angles, so the imager's psf must be of kind angle-selective; "
            f"got {psf.kind}",
            fields=("imager",),
        )
    apart_um = separation_um(layers, imager.gap_um)
    counts = [1.0] * info.architecture.layers
    counts[layers - 1] = 10.0
    seeds = enumerate(("training", "validation", "calibration", "test"))
    return Recipe.model_validate(
        {
            "name": name,
            "imager": on_small_frame(imager).model_dump(mode="json"),
            "network": info.architecture.model_dump(mode="json"),
            "family": _family(imager, psf, peak_snr_db),
            "scenes": {
                "min_separation_um": (0.92 * apart_um, apart_um),
                "specimen": tissue.model_dump(mode="json"),
                "layer_counts": counts,
            },
            "stream": {"pool_chunks": POOL_CHUNKS, "chunk_scenes": 32, "steps_per_chunk": 10},
            "optimisation": {"steps": steps, "warmup_steps": min(30, steps), **OPTIMISATION},
            "validation": {
                "every_steps": max(1, steps // VALIDATIONS),
                "scenes": VALIDATION_SCENES,
                "layers": layers,
                "min_separation_um": apart_um,
            },
            "calibration": CALIBRATION,
            "seeds": {"weights": 1, **{what: 70_000 + 10 * seed + n for n, what in seeds}},
        }
    )


def _family(imager: Imager, psf: AngleSelectivePsf, peak_snr_db: float) -> dict[str, Any]:
    """Return the imagers around a chip, as they stand in a recipe."""
    highest_db = imager.camera.highest_peak_snr_db()
    blur_px = psf.base_blur_um / imager.square_pitch_um
    return {
        "half_angle_deg": _around(psf.half_angle_deg, ANGLE_DEG, 1.0, 60.0),
        "base_blur_px": _around(blur_px, BLUR_PX, 0.0, 5.0),
        "peak_snr_db": _around(min(peak_snr_db, highest_db), SNR_DB, 1.0, highest_db),
        "misregistered_fraction": 0.25,
        "shift_px": 0.3,
        "rotation_deg": 0.3,
        "exact_fraction": EXACT_FRACTION,
        "conditioning_half_angle_std_deg": ANGLE_STD_DEG,
        "conditioning_base_blur_std_px": BLUR_STD_PX,
    }


def _around(value: float, half: float, low: float, high: float) -> tuple[float, float]:
    """Return the range of a half width around a value, within bounds; these hold the value."""
    return max(low, value - half), min(high, value + half)
