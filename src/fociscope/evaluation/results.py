"""The results of an evaluation as plain values: what is written to `results.json` and read back.

No host, path or date is in it. The seconds are those of the machine that it ran on.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fociscope.files.safe.records import read_record

__all__ = ["FORMAT_VERSION", "RESULTS_FORMAT", "Results", "as_json", "read_results", "versions"]

RESULTS_FORMAT = "fociscope-evaluation"
FORMAT_VERSION = 1

Results = dict[str, Any]
"""`format`, `format_version`, `suite`, `versions`, `threads`, `methods`, `conditions`."""


def versions() -> dict[str, str]:
    """Return the versions of what the scores depend on."""
    packages = {name: version(name) for name in ("fociscope", "numpy", "scipy", "torch")}
    return {"python": platform.python_version(), **packages}


def header(suite: dict[str, Any]) -> Results:
    """Return results without any scores."""
    return {
        "format": RESULTS_FORMAT,
        "format_version": FORMAT_VERSION,
        "suite": suite,
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }


def as_json(results: Results) -> str:
    """Return the text of `results.json`."""
    return json.dumps(results, indent=1, allow_nan=False) + "\n"


def read_results(path: Path) -> Results:
    """Read `results.json`.

    Raises:
        FileFormatError: it is missing, too large, no such file, or of another version.
    """
    results = read_record(
        path,
        "the results of 'fociscope evaluate'",
        format=RESULTS_FORMAT,
        version=FORMAT_VERSION,
        advice="evaluate again",
    )
    _read_former_keys(results)
    return results


def _read_former_keys(results: Results) -> None:
    """Rename what an earlier version has written, in place."""
    if "candidates" in results:
        results.setdefault("methods", results.pop("candidates"))
    methods = results.get("methods")
    for about in methods.values() if isinstance(methods, dict) else ():
        if isinstance(about, dict) and "told" in about:
            about.setdefault("inputs", about.pop("told"))
