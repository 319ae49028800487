"""The reference suite: fixed sets of unseen scenes, each with its own seed, and what varies in it.

A suite never changes under its version: scores of the same suite and version can be laid side by
side. Seeds lie far from those of the shipped recipes (training, selection, calibration, test) and
of the demo; the scenes by which baselines choose their thresholds have a seed of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Annotated, Any

from pydantic import Field

from fociscope.configuration import Configuration
from fociscope.evaluation.batches import Batch, ReconstructionTask
from fociscope.evaluation.generalisation import HeldOutFamily, held_out_families
from fociscope.evaluation.results import ConditionSummary
from fociscope.imager.geometry import Imager
from fociscope.imager.registration import Registration
from fociscope.registry import unknown_name
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.frame import chunk_scenes
from fociscope.simulation.scene import Scenes, simulate
from fociscope.simulation.specimens import AnySpecimen
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = [
    "SUITES",
    "SUITE_VERSION",
    "VALIDATION",
    "Condition",
    "Suite",
    "find_suite",
    "selected",
]

SUITE_VERSION = 1

MAIN_SCENES, SIDE_SCENES, SINGLE_LAYER_SCENES = 500, 100, 400
#: Iterative solvers on a depth grid take a hundred times as long as a network.
SLOW_REFERENCE_SCENES, SLOW_MAIN_SCENES, SLOW_SIDE_SCENES = 60, 30, 10
SEEN_SCENES = 48
QUICK_SCENES, SLOW_QUICK_SCENES = 6, 2
#: Beside the usual one; a list of its own, for a suite never changes under its version.
OTHER_SPECIMENS = (MicroFoci(), SingleCells(), Rings(), Lines(), ResolutionTarget())
#: Least distance between neighbours that leaves so many layers room within 1000 um.
SEPARATION_UM = {1: 0.0, 2: 250.0, 3: 250.0, 4: 250.0, 5: 200.0, 6: 150.0}


class Condition(Configuration):
    """One way of taking captures, and how many scenes of it are scored."""

    name: str
    group: str
    """What varies, such as `snr`; conditions of a group stand on one curve."""
    value: float | str
    """Of what varies."""
    unit: str = ""
    seed: Annotated[int, Field(ge=0)]
    scenes: Annotated[int, Field(ge=1)] = SIDE_SCENES
    slow_scenes: Annotated[int, Field(ge=1)] = SLOW_SIDE_SCENES
    """Of these, slow methods are scored on the first ones."""
    layers: Annotated[int, Field(ge=1, le=6)] = 4
    min_separation_um: float = 250.0
    peak_snr_db: float | None = REFERENCE_PEAK_SNR_DB
    """None for captures without noise."""
    specimen: AnySpecimen = PerlinFoci()
    imager: Imager = Imager()
    """The one that takes the captures."""
    assumed: Imager | None = None
    """The one that a method is told of; without it, the true one."""

    @property
    def task(self) -> ReconstructionTask:
        """What methods are told."""
        imager = self.imager if self.assumed is None else self.assumed
        return ReconstructionTask(
            imager,
            self.layers,
            self.min_separation_um,
            group=self.group,
            peak_snr_db=self.peak_snr_db,
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the scenes, as many at a time as memory likes."""
        step = chunk_scenes(self.imager)
        cells = self.specimen.cells_per_unit_light(self.imager.square_pitch_um)
        for first in range(0, self.scenes, step):
            scenes = self.simulated(min(step, self.scenes - first), first=first)
            yield Batch.from_scenes(scenes, cells_per_pixel=cells)

    def described(self) -> ConditionSummary:
        """Return all that is not the default, for the results."""
        values = self.model_dump(mode="json", exclude_defaults=True) | {"scenes": self.scenes}
        return ConditionSummary.model_validate(values)

    def simulated(self, count: int, *, first: int = 0) -> Scenes:
        """Return some of the condition's scenes."""
        return simulate(
            count,
            seed=self.seed,
            first=first,
            layers=self.layers,
            imager=self.imager,
            peak_snr_db=self.peak_snr_db,
            min_separation_um=self.min_separation_um,
            specimen=self.specimen,
        )


class Suite(Configuration):
    """A named set of conditions."""

    name: str
    version: int
    conditions: tuple[Condition | HeldOutFamily, ...]


#: Scenes by which baselines choose thresholds and probabilities; nothing is scored on them.
VALIDATION = Condition(
    name="validation", group="validation", value="", seed=900, scenes=SIDE_SCENES
)


def _with_half_angle(half_angle_deg: float) -> Imager:
    imager = Imager()
    return imager.with_(psf=imager.psf.with_(half_angle_deg=half_angle_deg))


def _with_base_blur(blur_px: float) -> Imager:
    imager = Imager()
    return imager.with_(psf=imager.psf.with_(base_blur_um=blur_px * imager.square_pitch_um))


def _with_registration(shift_px: float = 0.0, rotation_deg: float = 0.0) -> Imager:
    imager = Imager()
    shift_um = (shift_px * imager.square_pitch_um, 0.0)
    return imager.with_(registration=Registration(shift_um=shift_um, rotation_deg=rotation_deg))


def _condition(name: str, group: str, value: float | str, seed: int, **more: Any) -> Condition:
    return Condition(name=name, group=group, value=value, seed=seed, **more)


def _reference() -> Iterator[Condition]:
    """Yield the conditions of the reference suite, first the one that all others depart from."""
    main = {"scenes": MAIN_SCENES, "slow_scenes": SLOW_REFERENCE_SCENES}
    yield _condition("reference", "reference", "", 1001, **main)
    # The published README names no noise.
    main["slow_scenes"] = SLOW_MAIN_SCENES
    yield _condition("published", "published", "", 1002, peak_snr_db=None, **main)
    yield from _other_imagers()
    yield from _wrong_imagers()
    yield from _other_specimens()
    yield _condition(
        "single-layer",
        "single-layer",
        1.0,
        2400,
        scenes=SINGLE_LAYER_SCENES,
        slow_scenes=SLOW_MAIN_SCENES,
        layers=1,
        min_separation_um=SEPARATION_UM[1],
    )


def _other_imagers() -> Iterator[Condition]:
    """Yield other noise and other imagers, which the methods know."""
    for snr_db in (20.0, 25.0, 30.0, 35.0, 45.0, 50.0):
        seed = 1100 + round(snr_db)
        yield _condition(f"snr-{snr_db:g}", "snr", snr_db, seed, unit="dB", peak_snr_db=snr_db)
    for angle_deg in (10.0, 12.0, 15.0, 21.0, 25.0, 28.0):
        imager, seed = _with_half_angle(angle_deg), 1200 + round(angle_deg)
        name = f"half-angle-{angle_deg:g}"
        yield _condition(name, "half-angle", angle_deg, seed, unit="deg", imager=imager)
    for blur_px in (0.4, 0.8, 1.2):
        imager, seed = _with_base_blur(blur_px), 1300 + round(10 * blur_px)
        name = f"base-blur-{blur_px:g}"
        yield _condition(name, "base-blur", blur_px, seed, unit="px", imager=imager)


def _wrong_imagers() -> Iterator[Condition]:
    """Yield a sensor B that lies elsewhere, and another half angle, which no method knows."""
    for shift_px in (0.5, 1.0, 2.0):
        yield _condition(
            f"shift-{shift_px:g}",
            "shift",
            shift_px,
            1400 + round(100 * shift_px),
            unit="px",
            imager=_with_registration(shift_px=shift_px),
            assumed=Imager(),
        )
    for rotation_deg in (1.0, 3.0):
        yield _condition(
            f"rotation-{rotation_deg:g}",
            "rotation",
            rotation_deg,
            1700 + round(rotation_deg),
            unit="deg",
            imager=_with_registration(rotation_deg=rotation_deg),
            assumed=Imager(),
        )
    for angle_deg in (12.0, 15.0, 21.0, 25.0):
        yield _condition(
            f"assumed-half-angle-{angle_deg:g}",
            "assumed-half-angle",
            angle_deg,
            1800 + round(angle_deg),
            unit="deg",
            assumed=_with_half_angle(angle_deg),
        )


def _other_specimens() -> Iterator[Condition]:
    """Yield other numbers of layers, coverages, surroundings and kinds of specimens."""
    for layers in (2, 3, 5, 6):
        yield _condition(
            f"layers-{layers}",
            "layers",
            float(layers),
            1900 + layers,
            layers=layers,
            min_separation_um=SEPARATION_UM[layers],
        )
    for percent in (0, 5, 10, 25, 50, 75, 90, 100):
        share = percent / 100
        yield _condition(
            f"coverage-{percent}",
            "coverage",
            float(percent),
            2000 + percent,
            unit="%",
            specimen=PerlinFoci(coverage=(share, share)),
        )
    imager = Imager(boundary="reflect")
    yield _condition("surround", "surround", "", 2200, imager=imager)
    for number, specimen in enumerate(OTHER_SPECIMENS):
        kind = specimen.kind
        yield _condition(f"specimen-{kind}", "specimen", kind, 2300 + number, specimen=specimen)


#: One of each group, for tests and first tries.
_QUICK = (
    "reference",
    "published",
    "snr-20",
    "snr-30",
    "half-angle-12",
    "half-angle-25",
    "shift-1",
    "assumed-half-angle-25",
    "layers-2",
    "coverage-0",
    "coverage-50",
    "surround",
    "specimen-micro-foci",
    "single-layer",
)


def _generalisation() -> Iterator[Condition | HeldOutFamily]:
    """Yield what shipped models were trained on, for comparison, and every test-only family."""
    yield Condition(
        name="seen-in-training",
        group="seen-in-training",
        value="",
        seed=2500,
        scenes=SEEN_SCENES,
        slow_scenes=SLOW_QUICK_SCENES,
    )
    yield from held_out_families()


def _suites() -> dict[str, Suite]:
    every = tuple(_reference())
    counts = {"scenes": QUICK_SCENES, "slow_scenes": SLOW_QUICK_SCENES}
    few = (c.model_copy(update=counts) for c in every if c.name in _QUICK)
    return {
        name: Suite(name=name, version=SUITE_VERSION, conditions=tuple(conditions))
        for name, conditions in (
            ("reference", every),
            ("quick", few),
            ("generalisation", _generalisation()),
        )
    }


SUITES: dict[str, Suite] = _suites()


def find_suite(name: str) -> Suite:
    """Find a suite by its name.

    Args:
        name: Name of the suite, such as `reference` or `quick`.

    Returns:
        The suite.

    Raises:
        FociscopeError: If there is no such suite.

    Examples:
        >>> from fociscope.evaluation import find_suite
        >>> find_suite("reference").conditions[0].scenes
        500
    """
    if name not in SUITES:
        raise unknown_name("suite", name, SUITES)
    return SUITES[name]


def selected(suite: Suite, pattern: str | None) -> Suite:
    """Select the conditions of a suite whose names match patterns.

    Args:
        suite: Suite to select from.
        pattern: Shell patterns with commas between them, such as `snr-*,reference`; None for all.

    Returns:
        The suite with those conditions.

    Raises:
        FociscopeError: If a pattern matches none.

    Examples:
        >>> from fociscope.evaluation import find_suite, selected
        >>> [c.name for c in selected(find_suite("quick"), "snr-*").conditions]
        ['snr-20', 'snr-30']
    """
    if pattern is None:
        return suite
    patterns = [part.strip() for part in pattern.split(",")]
    for part in patterns:
        if not any(fnmatch(c.name, part) for c in suite.conditions):
            names = (c.name for c in suite.conditions)
            raise unknown_name(
                "condition",
                part,
                names,
                of=f"the suite {suite.name!r}",
                other="give a pattern such as 'snr-*'",
            )
    kept = (c for c in suite.conditions if any(fnmatch(c.name, part) for part in patterns))
    return suite.model_copy(update={"conditions": tuple(kept)})
