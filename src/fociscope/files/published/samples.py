"""A few samples of many: spread evenly over files of the published layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.files.published.images_depth import ImagesDepth, ImagesDepthFile

__all__ = ["spread_samples"]


def spread_samples(paths: Sequence[Path], count: int) -> tuple[ImagesDepth, list[str]]:
    """Read samples that are spread evenly over files.

    Files after the first that lack one of its variables, or have other shapes, are skipped. A file
    that can only be decoded as a whole is decoded once.

    Args:
        paths: Files of the published layout.
        count: Number of samples in all.

    Returns:
        The samples, and a name for each.
    """
    parts: list[ImagesDepth] = []
    names: list[str] = []
    for number, path in enumerate(paths):
        share = count * (number + 1) // len(paths) - count * number // len(paths)
        with ImagesDepthFile.open(path) as file:
            of_file = min(share, file.samples)
            whole = file.read() if of_file and not file.is_sliceable else None
            for index in range(of_file):
                at = index * file.samples // of_file
                part = file.read(at, at + 1) if whole is None else whole.part(at, at + 1)
                if parts and _shapes(part) != _shapes(parts[0]):
                    break
                parts.append(part)
                names.append(f"{path.name}\nsample {at + 1}")
    joined: dict[str, Any] = {
        name: None if first is None else np.concatenate([getattr(p, name) for p in parts])
        for name, first in vars(parts[0]).items()
    }
    return ImagesDepth(**joined), names


def _shapes(data: ImagesDepth) -> list[tuple[int, ...] | None]:
    return [None if array is None else array.shape for array in vars(data).values()]
