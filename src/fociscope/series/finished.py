"""The summary of a series that is complete, taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fociscope.configuration import plain_errors
from fociscope.errors import FociscopeError, printable
from fociscope.files.safe.records import read_record
from fociscope.results.parts import SUMMARY, SavedFile, SavedFiles

__all__ = ["read_finished"]

_ADVICE = "overwrite it to start anew, or choose another folder"

Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    """The parent of these: other entries are left as they are."""

    model_config = ConfigDict(strict=True)


class LayerMeans(_Strict):
    """Means of one layer over all frames."""

    present_frames: Count
    depth_um_mean: Finite | None
    depth_std_um_mean: Finite | None
    coverage_mean: Finite
    foci: Count


class SeriesMeans(_Strict):
    """Means over all frames."""

    frames: Count
    plausible_frames: Count
    layers: list[LayerMeans]


class _Finished(_Strict):
    identity: dict[str, str]
    files: SavedFiles | None = None


class FinishedMaps(_Finished):
    """What the summary of a series of maps says, as far as it is used again."""

    series: SeriesMeans


class FinishedEmitters(_Finished):
    """What the summary of located emitters says, as far as it is used again."""

    frames: Count
    emitters: Count
    median_misfit: Finite
    tracks: Count = 0
    waiting_count: Count = 0
    waiting: list[str] = Field(default_factory=list)


def read_finished(folder: Path) -> tuple[dict[str, Any], list[SavedFile] | None]:
    """Return the summary of a complete series of maps or of emitters, and what it states of files.

    Raises:
        FociscopeError: it is damaged, or of something else.
    """
    said = read_record(
        folder / SUMMARY,
        "the summary of a series, so it cannot go on",
        advice=_ADVICE,
        fields=("overwrite",),
        error=FociscopeError,
    )
    kind: type[_Finished] = FinishedEmitters if said.get("kind") == "emitters" else FinishedMaps
    try:
        files = kind.model_validate(said).files
    except ValidationError as error:
        raise FociscopeError(
            f"{printable(folder / SUMMARY)}: not the summary of a series, so it cannot go on "
            f"({plain_errors(error)[:300]}); {_ADVICE}",
            fields=("overwrite",),
        ) from None
    return said, files
