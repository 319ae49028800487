"""Fociscope's own solvers, told and tuned as the peers are."""

from __future__ import annotations

import torch
from restored import Given, Restoration
from torch import Tensor

from fociscope.solvers import fista

__all__ = ["RESTORATIONS"]

ITERATIONS = 100


def _fista(given: Given, **penalty: float) -> Tensor:
    found = fista(given.captures, given.depth_um, given.imager, iterations=ITERATIONS, **penalty)
    return torch.as_tensor(found.layers)


def _fista_tv(given: Given, *, tv: float) -> Tensor:
    return _fista(given, sparsity=0.0, tv=tv)


def _fista_of_a(given: Given, **penalty: float) -> Tensor:
    alone = given.imager.with_(sensors=1)
    return _fista(given._replace(captures=given.captures[:, :1], imager=alone), **penalty)


_SPARSITIES = tuple({"sparsity": value} for value in (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.2))
_VARIATIONS = tuple({"tv": value} for value in (1e-5, 1e-4, 1e-3, 1e-2))

RESTORATIONS = (
    Restoration(
        "fociscope", "fociscope", "`fista`, x >= 0, L1", "A, B",
        _fista, _SPARSITIES, at_once=True,
    ),
    Restoration(
        "fociscope", "fociscope", "`fista`, x >= 0, TV", "A, B",
        _fista_tv, _VARIATIONS, at_once=True,
    ),
    Restoration(
        "fociscope", "fociscope", "`fista`, x >= 0, L1", "A",
        _fista_of_a, _SPARSITIES, at_once=True,
    ),
)  # fmt: skip
