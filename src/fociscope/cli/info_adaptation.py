"""What `fociscope info` prints of an adaptation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fociscope.cli.common import show
from fociscope.configuration import Configuration
from fociscope.errors import FileFormatError
from fociscope.files.safe.records import read_typed_record

__all__ = ["ADAPTED", "STARTED", "describe_adaptation"]

#: Record of an adaptation that has ended, and what one that has not is told by, beside `training`.
ADAPTED, STARTED = "adaptation.json", "start.json"

KEPT = {
    "adapted": "the adapted network",
    "imager": "the old network, told the imager that fits",
    "nothing": "the old network and the stated imager",
}


class _Scores(Configuration):
    accuracy: float
    depth_error_um: float | None
    residual_of_captures: float


class _Record(Configuration, extra="ignore"):
    captures: Annotated[int, Field(ge=0)]
    model: str
    kept: str
    tissue: dict[str, float]
    on_matched_tissue: dict[str, _Scores]
    warnings: tuple[str, ...] = ()


def describe_adaptation(folder: Path) -> None:
    """Print what came of an adaptation, or that it has not ended.

    Args:
        folder: Folder of the run.

    Raises:
        FileFormatError: If its record is damaged.
    """
    if not (folder / ADAPTED).is_file():
        show("Adaptation", "not ended; fociscope adapt --resume goes on")
        return
    record = read_typed_record(
        folder / ADAPTED,
        _Record,
        "the record of an adaptation",
        advice="adapt again",
        error=FileFormatError,
        needs_checksum=True,
    )
    show("Adaptation", f"of {record.model} by {record.captures} captures without truth")
    show("Kept", KEPT.get(record.kept, record.kept))
    shares = ", ".join(f"{100 * s:.0f} % {kind}" for kind, s in record.tissue.items() if s >= 0.005)
    show("Tissue", f"like {shares}")
    for name, scores in record.on_matched_tissue.items():
        depth = "" if scores.depth_error_um is None else f", depth {scores.depth_error_um:.1f} µm"
        show(
            name.capitalize(),
            f"{100 * scores.accuracy:.2f} % of pixels right on matched tissue{depth}; "
            f"{100 * scores.residual_of_captures:.2f} % of the captures unexplained",
        )
    for warning in record.warnings:
        show("Note", warning)
