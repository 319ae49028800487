"""The golden set: captures and the maps that each shipped model makes of them, held for years.

    python tests/golden/golden_set.py --why "layers-ab: trained with more haze" [MODEL ...]

A release reproduces the stored maps within `TOLERANCES`, or renews them by this command and says
why in its changelog. The captures stay the same: they are stored as counts, drawn once from a seed.
What is exact is held by its SHA-256: the model's file and weights, the captures, and the tables
that are made of the stored maps. Convolutions in float32 differ from processor to processor in
their last digits, so that maps are compared within a tolerance.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.checksum import sha256
from fociscope.files.safe.records import read_record, write_record
from fociscope.networks.store import find_model, read_model, shipped_models
from fociscope.reconstruction import Model, load_model
from fociscope.results.provenance import versions, weights_sha256
from fociscope.results.result import Reconstruction
from fociscope.results.tables import Tables
from fociscope.simulation import simulate

HERE = Path(__file__).resolve().parent
SIDE_PX, SEED, BRIGHTEST = 32, 2027, 4000
#: Specimens of the captures, one each; the last capture shows light that no tissue sends out.
SPECIMENS = ("perlin-foci", "nuclei")

#: Array -> greatest difference at any place, and in the mean. Without oneDNN's convolutions the
#: greatest are 8e-6 (what is stored is rounded to that) and 6e-5 um, in bfloat16 0.02 and 0.8 um.
TOLERANCES: dict[str, tuple[float, float]] = {
    "probability": (0.001, 5e-5),
    "presence": (0.0005, 0.0001),
    "intensity": (0.001, 5e-5),  # of its greatest value
    "depth_um": (0.02, 0.01),
    "depth_std_um": (0.02, 0.01),
    "residual": (0.0001, 5e-5),
}
#: Stored as a share of 65535: of 1, or of the greatest value.
QUANTISED = ("probability", "intensity")
LEVELS = 65535


def model(name: str) -> Model:
    """Return a shipped model as the golden maps are made: on the CPU, in float32."""
    return load_model(name, device="cpu", precision="float32")


def new_captures(name: str) -> np.ndarray:
    """Return (capture, sensor, y, x) counts for a model, from a seed."""
    _, info = read_model(find_model(name))
    imager = info.imager.with_(frame_px=(SIDE_PX, SIDE_PX))
    drawn = [
        simulate(1, seed=SEED + n, layers=info.layers, imager=imager, specimen=kind).captures
        for n, kind in enumerate(SPECIMENS)
    ]
    rng = np.random.default_rng(SEED)
    odd = rng.random((1, imager.sensors, SIDE_PX, SIDE_PX))
    captures = np.concatenate([*drawn, odd])
    brightest = captures.max(axis=(-3, -2, -1), keepdims=True)
    return np.rint(np.clip(captures / brightest, 0, 1) * BRIGHTEST).astype(np.uint16)


def arrays_of(result: Reconstruction) -> dict[str, np.ndarray]:
    """Return what is held of a map, in float32."""
    found = {name: np.asarray(getattr(result, name), np.float32) for name in TOLERANCES}
    found["intensity"] = found["intensity"] / max(float(found["intensity"].max()), 1e-30)
    return found


def stored(name: str) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Any]]:
    """Return the captures of a model, the arrays of their maps, and the record beside them."""
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as archive:
        held = {key: archive[key] for key in archive.files}
    captures = held.pop("captures")
    arrays = {
        key: value.astype(np.float32) / LEVELS if key in QUANTISED else value
        for key, value in held.items()
    }
    record = read_record(HERE / f"{name}.json", "a golden record", needs_checksum=True)
    return captures, arrays, record


def exact(name: str, captures: np.ndarray, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return what must be the same to the last bit, on any processor."""
    network, info = read_model(find_model(name))
    return {
        "model file": sha256(find_model(name)),
        "weights": weights_sha256(network),
        "description": hashlib.sha256(info.model_dump_json().encode()).hexdigest(),
        "captures": hashlib.sha256(captures.tobytes()).hexdigest(),
        "tables of the stored maps": _tables_sha256(name, captures, arrays),
    }


def _tables_sha256(name: str, captures: np.ndarray, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the checksum of the tables of foci and layers that stored maps give."""
    network_info = read_model(find_model(name))[1]
    unknown = np.zeros(captures.shape, np.float32)
    saved = Reconstruction(
        **{key: arrays[key] for key in TOLERANCES if key != "residual"},
        captures=unknown,
        reprojection=unknown,
        imager=network_info.imager.with_(frame_px=(SIDE_PX, SIDE_PX)),
        model=name,
        saved_residual=arrays["residual"],
        focus_probability=network_info.focus_probability,
    )
    text = Tables.from_reconstruction(saved).text()
    return hashlib.sha256((text["layers.csv"] + text["foci.csv"]).encode()).hexdigest()


def differences(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Return array -> greatest and mean difference; infinite where shapes differ."""
    done = {}
    for name in TOLERANCES:
        if found[name].shape != expected[name].shape:
            done[name] = (np.inf, np.inf)
            continue
        apart = np.abs(found[name] - expected[name])
        done[name] = (float(apart.max()), float(apart.mean()))
    return done


def words(result: Reconstruction) -> list[str]:
    """Return for each capture whether it is plausible; its flags without their numbers."""
    flags = np.ravel(result.quality_flags if result.quality_flags is not None else "")
    return ["".join(letter for letter in str(flag) if not letter.isdigit()) for flag in flags]


def renew(name: str, why: str) -> None:
    """Make the maps of a model anew, print by how much they differ, and store them."""
    if (HERE / f"{name}.npz").exists():
        captures, before, _ = stored(name)
    else:
        captures, before = new_captures(name), None
    result = model(name).reconstruct(captures)
    arrays = arrays_of(result)
    if before is not None:
        for key, (most, mean) in differences(arrays, before).items():
            print(f"{name}: {key}: at most {most:.3g}, in the mean {mean:.3g}")
    kept = {
        key: np.rint(value * LEVELS).astype(np.uint16) if key in QUANTISED else value
        for key, value in arrays.items()
    }
    with atomic_path(HERE / f"{name}.npz", overwrite=True) as part:
        np.savez_compressed(part, captures=captures, **kept)
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as archive:
        again = {
            key: archive[key].astype(np.float32) / LEVELS if key in QUANTISED else archive[key]
            for key in TOLERANCES
        }
    record = {
        "why": why,
        "made with": {**versions(), "machine": platform.machine()},
        "sha256": exact(name, captures, again),
        "flags": words(result),
    }
    write_record(HERE / f"{name}.json", record, overwrite=True)


def main() -> None:
    """Renew the sets of all shipped models, or of those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names of shipped models; all without any")
    parser.add_argument("--why", required=True, help="what changed, for the changelog")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.models or shipped_models():
        renew(name, asked.why)


if __name__ == "__main__":
    main()
