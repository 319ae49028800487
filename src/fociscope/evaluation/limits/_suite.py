"""The least depth error that anybody could reach on a suite's own scenes.

What a layer of unknown image allows takes minutes to compute, and depends on the condition alone.
So it is computed once, and kept in a table beside this file. After a change of the imager, the
camera, the specimens or the bound itself, `python -m fociscope.evaluation.limits._suite` computes
the table anew.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np

from fociscope.evaluation._scores import DEPTH_BINS
from fociscope.evaluation.limits import gaussian_layers_bound_um, known_layers_bound_um
from fociscope.evaluation.results import DepthBound, DepthLimit, Numbers
from fociscope.evaluation.suite import SUITES, Condition
from fociscope.files.safe.atomic import atomic_path
from fociscope.imager.geometry import Imager
from fociscope.simulation.scene import Scenes
from fociscope.typing import Float64Array

__all__ = ["TABLE", "condition_key", "depth_limit", "unknown_layer_bound_um", "write_table"]


BOUND_SCENES = 48
TABLE = Path(__file__).with_name("unknown_layer_bounds.json")
#: Of the table: bounds for both sensors, and for A alone, which hold for whoever sees no more.
SENSORS = {"both_sensors": 2, "sensor_a": 1}


class _Bounds(TypedDict):
    """A row of the table: bounds in um in the middles of the bins of depth."""

    condition: str
    both_sensors: list[float]
    sensor_a: list[float]


def depth_limit(condition: Condition) -> DepthLimit | None:
    """Return the Cramer-Rao bounds over depth: of layers whose images are known, and are not.

    Nobody knows the layers' images, so the first holds for everybody and is far below what can be
    reached. The second is for one layer that is alone, a Gaussian field of the specimens' mean and
    covariance (`fociscope.evaluation.limits._gaussian`); it comes from the table.

    Returns:
        The bounds, those of layers of unknown image where the table has the condition; None for
        captures without noise, which know no bound.
    """
    if condition.peak_snr_db is None:
        return None
    scenes = condition.simulated(min(condition.scenes, BOUND_SCENES))
    table = _read_table().get(condition_key(condition))
    both = DepthBound(known_um=_known_um(condition, scenes, SENSORS["both_sensors"]))
    alone = DepthBound(known_um=_known_um(condition, scenes, SENSORS["sensor_a"]))
    if table is not None:
        both = both.model_copy(update={"unknown_um": tuple(table["both_sensors"])})
        alone = alone.model_copy(update={"unknown_um": tuple(table["sensor_a"])})
    limit = DepthLimit(
        known_um=both.known_um,
        depth_um=tuple(_bin_middles_um(condition.imager).tolist()),
        sensor_a=alone,
    )
    if both.unknown_um is None:
        return limit
    return limit.model_copy(update={"unknown_um": both.unknown_um})


def _known_um(condition: Condition, scenes: Scenes, sensors: int) -> Numbers:
    imager = condition.imager.with_(sensors=sensors)
    bound = known_layers_bound_um(
        imager, scenes.layers, scenes.depth_um, peak_snr_db=condition.peak_snr_db or 0.0
    ).ravel()
    edges = np.linspace(0, imager.gap_um, DEPTH_BINS + 1)
    which = np.clip(np.searchsorted(edges, scenes.depth_um.ravel(), "right") - 1, 0, DEPTH_BINS - 1)
    return tuple(
        _rounded(np.median(bound[which == n])) if (which == n).any() else None
        for n in range(DEPTH_BINS)
    )


def unknown_layer_bound_um(condition: Condition, depth_um: float, *, sensors: int) -> float:
    """Compute the bound on the depth of one layer that is alone and whose image is unknown.

    It takes seconds.

    Args:
        condition: with one layer, and noise.
        depth_um: of the layer.
        sensors: 2, or 1 for sensor A alone.
    """
    assert condition.layers == 1
    assert condition.peak_snr_db is not None
    imager = condition.imager.with_(sensors=sensors)
    layers = condition.simulated(BOUND_SCENES).layers
    bound = gaussian_layers_bound_um(imager, [depth_um], layers, peak_snr_db=condition.peak_snr_db)
    return _rounded(bound[0])


def condition_key(condition: Condition) -> str:
    """Return a hash of all that the bounds depend on: not the name, nor how many are scored.

    Defaults are left out, so that a field which an imager gains leaves the table in place.
    """
    dependencies = condition.model_dump(
        mode="json",
        exclude={"name", "group", "value", "unit", "scenes", "slow_scenes", "assumed"},
        exclude_defaults=True,
    )
    dependencies |= {"depth_bins": DEPTH_BINS, "bound_scenes": BOUND_SCENES}
    return hashlib.sha256(json.dumps(dependencies, sort_keys=True).encode()).hexdigest()[:16]


def write_table(path: Path = TABLE) -> None:
    """Compute the bounds for every condition of a suite that has one layer and noise."""
    table: dict[str, _Bounds] = {}
    for suite in SUITES.values():
        for condition in suite.conditions:
            if not isinstance(condition, Condition):  # scenes of the second simulator
                continue
            key = condition_key(condition)
            if condition.layers > 1 or condition.peak_snr_db is None or key in table:
                continue
            both, alone = (
                [
                    unknown_layer_bound_um(condition, z, sensors=sensors)
                    for z in _bin_middles_um(condition.imager)
                ]
                for sensors in SENSORS.values()
            )
            table[key] = {"condition": condition.name, "both_sensors": both, "sensor_a": alone}
    with atomic_path(path, overwrite=True) as part:
        part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def _read_table() -> dict[str, _Bounds]:
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def _bin_middles_um(imager: Imager) -> Float64Array:
    edges = np.linspace(0, imager.gap_um, DEPTH_BINS + 1)
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    write_table()
