"""Where a result comes from: versions, model and inputs, so that it can be made again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fociscope.files import is_store, list_images
from fociscope.files.safe.checksum import sha256
from fociscope.imager.geometry import Imager
from fociscope.networks.layer_net import LayerNet, former_name
from fociscope.networks.store import find_model

__all__ = ["imager_sha256", "inputs", "provenance", "versions", "weights_sha256"]

#: More files than this are named by their first and last, and summed up in one checksum.
MOST_INPUTS_LISTED = 256


def versions() -> dict[str, str]:
    """Return what a result's numbers depend on."""
    return {
        "fociscope": version("fociscope"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def provenance(
    captures: Sequence[Path], model: str, *, imager: Imager | None = None
) -> dict[str, Any]:
    """Return versions, and the names and SHA-256 sums of model, imager and every input file."""
    found: dict[str, Any] = {**versions(), "model_sha256": sha256(find_model(model))}
    if imager is not None:
        found["imager_sha256"] = imager_sha256(imager)
    return {**found, "inputs": inputs(captures)}


def inputs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the name and the SHA-256 of each file; of very many, one entry for all of them.

    The checksum of many files is that of one line for each, `<sha256>  <name>`.
    """
    files: list[Path] = []
    for path in paths:
        is_folder = path.is_dir() and not is_store(path)
        files += list_images(path) if is_folder else [path]
    if len(files) <= MOST_INPUTS_LISTED:
        return [{"name": path.name, "sha256": sha256(path)} for path in files]
    lines = hashlib.sha256()
    for path in files:
        lines.update(f"{sha256(path)}  {path.name}\n".encode(errors="backslashreplace"))
    name = f"{files[0].name} ... {files[-1].name}"
    return [{"name": name, "files": len(files), "sha256": lines.hexdigest()}]


def imager_sha256(imager: Imager) -> str:
    """Return the SHA-256 of all that an imager's description says."""
    # As it was written formerly, so that a series that was begun then can go on.
    content = imager.model_dump_json().replace('"boundary":"reflect"', '"boundary":"surround"')
    content = content.replace('"layout":null,', "")
    return hashlib.sha256(content.encode()).hexdigest()


def weights_sha256(network: LayerNet) -> str:
    """Return the SHA-256 of a network's weights, wherever they came from."""
    digest = hashlib.sha256()
    # Under their former names, so that a series that was begun with them can go on.
    tensors = {former_name(name): tensor for name, tensor in network.state_dict().items()}
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
