"""The suite `generalisation`: families of specimens that no model was trained on.

They come from the second simulator (`fociscope.evaluation.independent`), which shares no code with
the one that networks train on. Every family stands twice: with four layers, and with one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError
from fociscope.evaluation.batches import Batch, ReconstructionTask
from fociscope.evaluation.independent import FAMILIES, Optics, draw_scenes
from fociscope.evaluation.results import ConditionResult, ConditionSummary
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf

__all__ = ["HELD_OUT_KINDS", "HeldOutFamily", "held_out_families", "optics_of", "worst_first"]

#: Kinds of specimens of the first simulator that are for tests alone: no recipe trains on them.
#: Depth deviations are calibrated on rings and lines (`CalibrationScenes.unfamiliar`).
HELD_OUT_KINDS = (
    "strands",
    "networks",
    "glands",
    "dead-leaves",
    "rings",
    "lines",
    "resolution-target",
)

FOUR_LAYER_SCENES, SINGLE_LAYER_SCENES, SLOW_SCENES = 24, 36, 4
#: Scenes that are drawn at a time.
STEP = 12
FIRST_SEED = 5000


class HeldOutFamily(Configuration):
    """Scenes of one test-only family, as a condition of a suite."""

    name: str
    group: Literal["generalisation", "generalisation-single-layer"]
    value: str
    """Name of the family."""
    seed: Annotated[int, Field(ge=0)]
    scenes: Annotated[int, Field(ge=1)]
    slow_scenes: Annotated[int, Field(ge=1)] = SLOW_SCENES
    layers: Annotated[int, Field(ge=1, le=6)]
    min_separation_um: float
    peak_snr_db: float | None = 40.0
    imager: Imager = Imager()
    """The imager that takes the captures; methods know it exactly."""

    @property
    def task(self) -> ReconstructionTask:
        """The conditions that methods know."""
        return ReconstructionTask(
            self.imager,
            self.layers,
            self.min_separation_um,
            group=self.group,
            peak_snr_db=self.peak_snr_db,
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the scenes, a few at a time."""
        for first in range(0, self.scenes, STEP):
            scenes = draw_scenes(
                self.value,
                min(STEP, self.scenes - first),
                seed=self.seed,
                first=first,
                layers=self.layers,
                min_separation_um=self.min_separation_um,
                optics=optics_of(self.imager),
                peak_snr_db=self.peak_snr_db,
            )
            yield Batch(scenes.captures, scenes.mask, scenes.depth_um, scenes.layers, scenes.cells)

    def described(self) -> ConditionSummary:
        """Return what the condition is, for the results."""
        return ConditionSummary.model_validate(
            {
                **self.model_dump(mode="json", exclude={"imager"}),
                "test_only": True,
                "specimen": FAMILIES[self.value].summary,
            }
        )


def held_out_families() -> Iterator[HeldOutFamily]:
    """Yield every family with four layers, and then with a single one."""
    for number, family in enumerate(FAMILIES):
        yield HeldOutFamily(
            name=family,
            group="generalisation",
            value=family,
            seed=FIRST_SEED + number,
            scenes=FOUR_LAYER_SCENES,
            layers=4,
            min_separation_um=250.0,
        )
    for number, family in enumerate(FAMILIES):
        if family == "mixed":  # mixes the layers of a scene
            continue
        yield HeldOutFamily(
            name=f"single-layer-{family}",
            group="generalisation-single-layer",
            value=family,
            seed=FIRST_SEED + 100 + number,
            scenes=SINGLE_LAYER_SCENES,
            layers=1,
            min_separation_um=0.0,
        )


def optics_of(imager: Imager) -> Optics:
    """Return the second simulator's optics with the numbers of an imager.

    Args:
        imager: With two sensors that are in register, and a plain Gaussian grating.

    Raises:
        FociscopeError: If the second simulator has no such imager.
    """
    psf = imager.psf
    plain = Imager(
        name=imager.name,
        pixel_pitch_um=imager.square_pitch_um,
        frame_px=imager.frame_px,
        gap_um=imager.gap_um,
        boundary=imager.boundary,
    )
    if isinstance(psf, AngleSelectivePsf):
        plain = plain.with_(
            psf=AngleSelectivePsf(half_angle_deg=psf.half_angle_deg, base_blur_um=psf.base_blur_um)
        )
    if plain != imager or not isinstance(psf, AngleSelectivePsf):
        raise FociscopeError(
            f"the second simulator has two sensors in register behind a Gaussian grating in clear "
            f"tissue; the imager '{imager.name}' is another; choose the reference imager"
        )
    return Optics(
        pixel_pitch_um=imager.square_pitch_um,
        gap_um=imager.gap_um,
        half_angle_deg=psf.half_angle_deg,
        base_blur_um=psf.base_blur_um,
        frame_px=imager.frame_px,
        boundary=imager.boundary,
    )


def worst_first(conditions: Sequence[ConditionResult], method: str) -> list[ConditionResult]:
    """Return the conditions of results by a method's Dice coefficient, the lowest first.

    Where there are no cells the share of right pixels takes its place. Conditions that the method
    does not support stand at the end.

    Args:
        conditions: Conditions of an evaluation's results.
        method: Name of the method.
    """

    def key(condition: ConditionResult) -> float:
        scores = condition.scored(method)
        if scores is None:
            return float("inf")
        score = scores.value("accuracy" if condition.value == "clouds" else "dice")
        return float("nan") if score is None else score

    return sorted(conditions, key=key)
