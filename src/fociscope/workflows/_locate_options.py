"""What emitters are located with, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.files.captures.reader import PageMeaning
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters
from fociscope.localization.locator import MOST_EMITTERS, Background
from fociscope.localization.tracks import MOST_GAP
from fociscope.reconstruction.preparation import Preparation
from fociscope.results.emitters import load_emitters
from fociscope.series.options import THREADS, Paths, ReconstructionOptions

__all__ = ["LocateOptions", "LocateOutcome"]


@dataclass(frozen=True, kw_only=True)
class LocateOptions:
    """How captures are read, and emitters located; every field has a default.

    Raises:
        FociscopeError: If `resume` and `overwrite` are both set, what concerns tracks without
            `track`, or tracks of emitters that stand still.

    Examples:
        >>> from fociscope.workflows import LocateOptions
        >>> LocateOptions(most=10).most
        10
    """

    imager: Imager | Path | str | None = None
    """Imager that took the captures, or path of its TOML file; None for that of the data set which
    the captures are of, else the reference imager."""
    dark: Paths | float = ()
    """Dark frames, as for `fociscope.reconstruct`."""
    flat: Paths = ()
    """Captures of even light, as for `fociscope.reconstruct`."""
    bad_pixels: Paths = ()
    """Images that differ from 0 at pixels which are not used."""
    preparation: Preparation = field(default_factory=Preparation)
    """Flips, crop and average of the captures, before anything else."""
    pages: PageMeaning = "auto"
    """Meaning of the pages of a stack that does not state it."""
    most: int = MOST_EMITTERS
    """Emitters per capture at most."""
    model_error: float | None = None
    """Standard deviation of what the imager's description is wrong by at each pixel, as a share of
    the light; None for the unevenness of its pixels, `camera.prnu`, and at least 0.002."""
    background: Background = "even"
    """Light beside the emitters: `even` over each sensor, or `smooth`, of tissue that glows
    unevenly around few cells."""
    joint: bool = False
    """Whether emitters stand still, so that all captures are fitted together: one place for each,
    and its brightness in every capture."""
    track: bool = False
    """Whether emitters are linked from frame to frame; needs the extra `track`."""
    most_speed_um: float = 0.0
    """Greatest distance that an emitter moves from one frame to the next, um, when it is linked."""
    most_gap: int = MOST_GAP
    """Frames in a row in which an emitter may be missing from its track."""
    scheduler: str = THREADS
    """`threads` to compute in this process, or the address of a dask scheduler, such as
    `tcp://10.0.0.5:8786`, to compute on its workers."""
    resume: bool = False
    """Whether a run continues after the last frame that an earlier run has completed."""
    overwrite: bool = False
    """Whether results that are there are replaced, in whatever formats."""

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        if self.resume and self.overwrite:
            raise FociscopeError(
                "resuming continues an earlier run, overwriting starts anew; ask for one of them",
                fields=("resume", "overwrite"),
            )
        if self.joint and (self.track or self.scheduler != THREADS):
            raise FociscopeError(
                "emitters that stand still are fitted to all captures at once; leave out tracks "
                "and the scheduler, or the joint fit",
                fields=("joint", "track" if self.track else "scheduler"),
            )
        if self.joint and self.background != "even":
            raise FociscopeError(
                "emitters that stand still are fitted beside even light; leave out the smooth "
                "background, or the joint fit",
                fields=("background", "joint"),
            )
        if not self.track and (self.most_speed_um != 0 or self.most_gap != MOST_GAP):
            raise FociscopeError(
                "the speed and the gap of tracks are stated, and no tracks are asked for; ask for "
                "them, too",
                fields=("track",),
            )

    @property
    def of_captures(self) -> ReconstructionOptions:
        """The part that a reconstruction has, too: how captures are read and corrected."""
        return ReconstructionOptions(
            imager=self.imager,
            dark=self.dark,
            flat=self.flat,
            bad_pixels=self.bad_pixels,
            preparation=self.preparation,
            pages=self.pages,
        )


@dataclass(frozen=True)
class LocateOutcome:
    """Emitters and files of `fociscope.locate`.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import LocateOutcome
        >>> outcome = LocateOutcome(
        ...     frames=9, made=4, summary={}, output=Path("beads"), files=(), title="run"
        ... )
        >>> outcome.frames - outcome.made  # of an earlier run
        5
    """

    frames: int
    """Number of frames in the output folder."""
    made: int
    """Number of frames that this run has worked on; the others are an earlier run's."""
    summary: dict[str, Any] = field(repr=False)
    """Content of `summary.json`."""
    output: Path
    """Folder of the results."""
    files: tuple[Path, ...]
    """Files that were written."""
    title: str
    """Title of the figure: the names of the captures."""
    first: Emitters | None = None
    """Emitters of the first capture."""
    notes: tuple[str, ...] = ()
    """How the files were read where they leave it open, in sentences for a user."""
    warnings: tuple[FociscopeWarning, ...] = ()
    """Reasons not to trust the results as they are."""
    in_memory: Emitters | None = field(default=None, repr=False)
    """Emitters of all captures, if this run has located them and they are few."""

    @property
    def emitters(self) -> Emitters:
        """Emitters of all captures; of a long series or an earlier run, read from the tables."""
        return load_emitters(self.output) if self.in_memory is None else self.in_memory
