"""Where a result comes from: versions, model and inputs, so that it can be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fociscope.files import list_images
from fociscope.networks.store import find_model

__all__ = ["provenance"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(captures: Sequence[Path], model: str) -> dict[str, Any]:
    """Return versions, and the names and SHA-256 sums of the model and of every input file."""
    files = [f for path in captures for f in (list_images(path) if path.is_dir() else [path])]
    return {
        "fociscope": version("fociscope"),
        "torch": torch.__version__,
        "model_sha256": _sha256(find_model(model)),
        "inputs": [{"name": path.name, "sha256": _sha256(path)} for path in files],
    }
