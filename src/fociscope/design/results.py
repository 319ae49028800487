"""A design study on disk: tables, a summary, and the state of a study that goes on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from fociscope.design.chip import PARAMETERS
from fociscope.design.scores import COSTS, DesignScores
from fociscope.design.space import DesignSpace
from fociscope.design.study import DesignStudy
from fociscope.files.safe.records import read_typed_record, write_record
from fociscope.imager import Imager

__all__ = ["STATE", "StudyRecord", "read_state", "read_study", "write_state", "write_study"]

#: Files of a study, and the state of one that is not finished.
DESIGNS, FRONT, SUMMARY, STATE = "designs.csv", "front.csv", "summary.json", ".design-state.json"
FORMAT, FORMAT_VERSION = "fociscope-design", 1
_SCORES = TypeAdapter(tuple[DesignScores, ...])


class StudyRecord(BaseModel):
    """The content of `summary.json`, and of the state of a study that goes on."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["fociscope-design"] = "fociscope-design"
    format_version: Literal[1] = 1
    version: str
    """Of Fociscope."""
    space: DesignSpace
    base: Imager
    scores: tuple[DesignScores, ...]
    fronts: dict[str, tuple[int, ...]] = {}
    """Quality -> numbers of the designs on its front."""


def write_study(folder: Path, study: DesignStudy) -> list[Path]:
    """Write `designs.csv`, `front.csv` and `summary.json` into a folder that is there.

    Args:
        folder: Folder without such files.
        study: Study to write.

    Returns:
        The files.

    Raises:
        FociscopeError: If the disk refuses.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.design import DesignSpace, read_study, sweep, write_study
        >>> space = DesignSpace(half_angle_deg=(14, 22), designs=2, scenes=16, network=False)
        >>> Path("study").mkdir()
        >>> _ = write_study(Path("study"), sweep(space))
        >>> len(read_study("study/summary.json").scores)
        3
    """
    fronts = study.fronts()
    designs, front, summary = folder / DESIGNS, folder / FRONT, folder / SUMMARY
    _write_csv(designs, [scores.row() for scores in study.scores])
    rows = [
        {"quality": quality, "value": scores.quality(quality)}
        | {"number": scores.number}
        | {name: getattr(scores, name) for name in COSTS}
        | {name: scores.design.numbers()[name] for name in PARAMETERS}
        for quality, on_front in fronts.items()
        for scores in sorted(on_front, key=lambda s: (s.wires, s.pixels, s.cell_photons))
    ]
    _write_csv(front, rows)
    numbers = {name: [s.number for s in on_front] for name, on_front in fronts.items()}
    write_record(summary, _record(study.space, study.base, study.scores) | {"fronts": numbers})
    return [designs, front, summary]


def read_study(path: Path | str) -> DesignStudy:
    """Read the `summary.json` of a study.

    Args:
        path: Path of the file.

    Returns:
        The study.

    Raises:
        FileFormatError: If the file is missing, damaged, or of another version.

    Examples:
        >>> from fociscope.design import read_study
        >>> read_study("absent.json")
        Traceback (most recent call last):
        ...
        fociscope.errors.FileFormatError: absent.json: there is no such file, expected the summary \
of a design study; check the path, or run the study again.
    """
    record = _read(Path(path), "the summary of a design study")
    return DesignStudy(record.space, record.base, record.scores)


def read_state(folder: Path) -> StudyRecord | None:
    """Return the state of a study that was interrupted in a folder; None without one.

    Raises:
        FileFormatError: If the state is damaged, or of another version.
    """
    path = folder / STATE
    return _read(path, "the state of a design study") if path.exists() else None


def write_state(
    folder: Path, space: DesignSpace, base: Imager, scores: Iterable[DesignScores]
) -> None:
    """Write what a study has scored so far."""
    write_record(folder / STATE, _record(space, base, tuple(scores)), overwrite=True)


def _record(space: DesignSpace, base: Imager, scores: tuple[DesignScores, ...]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version("fociscope"),
        "space": space.model_dump(mode="json"),
        "base": base.model_dump(mode="json"),
        "scores": _SCORES.dump_python(scores, mode="json"),
    }


def _read(path: Path, what: str) -> StudyRecord:
    return read_typed_record(
        path,
        StudyRecord,
        what,
        format=FORMAT,
        version=FORMAT_VERSION,
        advice="run the study again",
        needs_checksum=True,
    )


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    """Return a number with six digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
