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

from fociscope.errors import FileFormatError
from fociscope.files.safe.limits import require_file

__all__ = ["FORMAT_VERSION", "RESULTS_FORMAT", "Results", "as_json", "read_results", "versions"]

RESULTS_FORMAT = "fociscope-evaluation"
FORMAT_VERSION = 1
#: The whole reference suite with all baselines takes about 2 MB.
LARGEST_RESULTS_BYTES = 64 * 2**20

Results = dict[str, Any]
"""`format`, `format_version`, `suite`, `versions`, `threads`, `candidates`, `conditions`."""


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
    path = require_file(path)
    if path.stat().st_size > LARGEST_RESULTS_BYTES:
        raise FileFormatError(f"{path}: too large for the results of an evaluation")
    try:
        results = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise FileFormatError(f"{path}: not a JSON file, expected an evaluation's") from None
    if not isinstance(results, dict) or results.get("format") != RESULTS_FORMAT:
        raise FileFormatError(f"{path}: not the results of 'fociscope evaluate'")
    if results.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"{path}: its format is version {results.get('format_version')!r}, this Fociscope "
            f"reads version {FORMAT_VERSION}; evaluate again"
        )
    _read_former_keys(results)
    return results


def _read_former_keys(results: Results) -> None:
    """Rename what an earlier version has written, in place."""
    methods = results.get("candidates")
    for about in methods.values() if isinstance(methods, dict) else ():
        if isinstance(about, dict) and "told" in about:
            about.setdefault("inputs", about.pop("told"))
