"""A design space in; tables, a summary and a figure out. What is interrupted can go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fociscope.design import DesignScores, DesignSpace, DesignStudy
from fociscope.design.results import STATE, read_state, write_state, write_study
from fociscope.design.study import sweep
from fociscope.errors import FociscopeError, OutputExistsError, printable
from fociscope.files import atomic_folder
from fociscope.files.safe.disk import remove
from fociscope.files.safe.locks import locked_folder
from fociscope.imager import Imager

__all__ = ["design"]

#: Seconds between two states on the disk.
STATE_EVERY_S = 5.0


def design(
    space: DesignSpace | Path | str,
    output: Path | str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    finish: Callable[[Path, DesignStudy], None] | None = None,
) -> DesignStudy:
    """Score the designs of a space, and write tables, a summary and a figure.

    Args:
        space: Space, or path of its TOML file.
        output: Folder for `designs.csv`, `front.csv`, `summary.json` and `figure.png`.
        resume: Whether to go on where an interrupted study of the same space has ended.
        overwrite: Whether to replace what an earlier study has left.
        progress: Called with the number of designs done and their total.
        finish: Called with the folder, before it is put in place, and the study; for more files.

    Returns:
        The study.

    Raises:
        OutputExistsError: If the folder holds something and neither `resume` nor `overwrite` is
            set.
        FociscopeError: If there is nothing to resume, or what is there is of another space.

    Examples:
        >>> import fociscope
        >>> from fociscope.design import DesignSpace
        >>> space = DesignSpace(half_angle_deg=(14, 22), designs=2, scenes=16, network=False)
        >>> study = fociscope.workflows.design(space, "study")
        >>> sorted(path.name for path in __import__("pathlib").Path("study").iterdir())
        ['designs.csv', 'figure.png', 'front.csv', 'summary.json']
    """
    from fociscope.figures.design import draw_design_study

    space = space if isinstance(space, DesignSpace) else DesignSpace.load(space)
    output, base = Path(output), space.base_imager()
    with locked_folder(output):
        scored = _known(space, base, output, resume=resume, overwrite=overwrite)
        last = time.monotonic()

        def keep(scores: DesignScores) -> None:
            nonlocal last
            scored.append(scores)
            if time.monotonic() - last > STATE_EVERY_S:
                write_state(output, space, base, scored)
                last = time.monotonic()

        try:
            study = sweep(space, progress=progress, known=tuple(scored), on_score=keep)
        except BaseException:
            if scored:
                write_state(output, space, base, scored)
            raise
        with atomic_folder(output, overwrite=True, again=True) as part:
            write_study(part, study)
            draw_design_study(study).savefig(part / "figure.png")
            if finish is not None:
                finish(part, study)
        remove(output / STATE)
    return study


def _known(
    space: DesignSpace, base: Imager, output: Path, *, resume: bool, overwrite: bool
) -> list[DesignScores]:
    """Return what an interrupted study has scored; refuse a folder that is not to be touched."""
    state = None if overwrite else read_state(output)
    if resume:
        if state is None:
            raise FociscopeError(
                f"{printable(output)}: holds no interrupted study to go on with; start one without "
                "resuming",
                fields=("resume",),
            )
        if state.space != space or state.base != base:
            raise FociscopeError(
                f"{printable(output)}: holds a study of another space; give the same one, or write "
                "to another folder",
                fields=("resume",),
            )
        return list(state.scores)
    others = [path for path in output.iterdir() if path.name != STATE]
    if state is not None:
        raise OutputExistsError(
            f"{printable(output)}: holds an interrupted study; resume it, or allow overwriting",
            fields=("resume", "overwrite"),
        )
    if others and not overwrite:
        raise OutputExistsError(
            f"{printable(output)}: is not empty; choose another folder, or allow overwriting",
            fields=("overwrite",),
        )
    return []
