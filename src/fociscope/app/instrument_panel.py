"""Instrument: the visitor's imager, the chip's frames, and how captures are turned and cut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

from nicegui import ui

from fociscope.app.capture_input import without_folders
from fociscope.app.controls import FileField, say, section
from fociscope.app.session import Session
from fociscope.errors import FociscopeError, ImagerError
from fociscope.files import list_suffixes
from fociscope.imager import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.reconstruction import Preparation
from fociscope.reconstruction.preparation import Flip

__all__ = ["InstrumentPanel"]

FLIPS = {"none": "as it is", "x": "left and right", "y": "top and bottom", "both": "both"}
#: Field of the options -> its label and what is done with it.
CHIP_FRAMES = {
    "dark": ("Dark frames", "without light; subtracted"),
    "flat": ("Flat frames", "of even light; divided by"),
    "bad_pixels": ("Bad pixels", "not 0 where a pixel is bad; filled"),
}


class InstrumentPanel:
    """Fields for what took the files; the same options as those of `fociscope reconstruct`."""

    def __init__(self, session: Session, *, changed: Callable[[], None]) -> None:
        """Build it; `changed` is called when there is a new map."""
        self._session, self._changed = session, changed
        with ui.column().classes("w-full gap-2"):
            section("Imager")
            self._imager = FileField(
                "Imager file",
                "as `fociscope calibrate` writes it, with the file of a measured PSF beside it",
                suffixes=(".toml", *list_suffixes("image")),
                most=2,
                folder=lambda: session.new_folder("imager"),
                taken=self.take_imager,
                cleared=self._without_file,
            )
            self._numbers = ui.column().classes("w-full gap-0")
            with self._numbers:
                self._build_numbers()
            section("Chip")
            for field, (label, hint) in CHIP_FRAMES.items():
                FileField(
                    label,
                    f"{hint}; one file, or A's and B's",
                    suffixes=list_suffixes("file"),
                    most=2,
                    folder=partial(session.new_folder, field),
                    taken=partial(self._take_frames, field),
                    cleared=partial(self._set, **{field: ()}),
                )
            section("Before the reconstruction")
            self._build_preparation()

    def _build_numbers(self) -> None:
        reference = Imager.reference()
        self._pitch = _number("Pixel pitch", "µm", reference.square_pitch_um, 1, 1000)
        self._gap = _number("Gap from A to B, or depth", "µm", reference.gap_um, 50, 20_000)
        self._angle = _number("Half angle of the grating", "degrees", 18.0, 4, 60)
        ui.button("Look through it", on_click=self._other_numbers).props("flat dense no-caps")

    def _build_preparation(self) -> None:
        with ui.row().classes("w-full gap-2 no-wrap"):
            self._flips = [
                ui.select(
                    {flip: FLIPS[flip] for flip in get_args(Flip)},
                    value="none",
                    label=f"Flip sensor {sensor}",
                    on_change=self._other_preparation,
                )
                .props("dense outlined options-dense")
                .classes("flex-1 min-w-0")
                for sensor in "AB"
            ]
        self._crop = ui.input("Crop: y, x, height, width (pixels)", placeholder="the whole frame")
        self._crop.props("dense outlined clearable").classes("w-full")
        for event in ("keydown.enter", "blur", "clear"):
            self._crop.on(event, self._other_preparation)

    async def _set(self, **changes: Any) -> bool:
        """Change options; say why if they cannot be met, and return whether they are."""
        try:
            if await self._session.change_chip(**changes):
                self._changed()
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        return True

    async def take_imager(self, files: list[Path]) -> bool:
        """Look through the imager of a TOML file, which others may accompany."""
        try:
            with without_folders(files):
                imager = await self._session.jobs.quick(_read_imager, files)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        if not await self._set(imager=imager):
            return False
        self._imager.show([path for path in files if path.suffix.lower() == ".toml"])
        self._numbers.set_visibility(False)
        return True

    async def _without_file(self) -> bool:
        """Look through the imager of the numbers again."""
        is_possible = await self._other_numbers()
        self._numbers.set_visibility(is_possible)
        return is_possible

    async def _take_frames(self, field: str, files: list[Path]) -> bool:
        return await self._set(**{field: tuple(files)})

    async def _other_numbers(self) -> bool:
        try:
            imager = self._stated()
        except FociscopeError as error:
            say(str(error), wrong=True)
            return False
        return await self._set(imager=imager)

    def _stated(self) -> Imager | None:
        """Return the imager of the fields; None where they say nothing new."""
        reference = Imager.reference()
        stated = reference.with_(
            pixel_pitch_um=self._pitch.value,
            gap_um=self._gap.value,
            psf=AngleSelectivePsf(half_angle_deg=self._angle.value),
        )
        return None if stated == reference else stated.with_(name="from the app")

    async def _other_preparation(self) -> None:
        crop = (self._crop.value or "").strip() or None
        flips = {f"flip_{s}": box.value for s, box in zip("ab", self._flips, strict=True)}
        try:
            preparation = Preparation(crop=crop, **flips)
        except FociscopeError as error:
            say(str(error), wrong=True)
            return
        if preparation != self._session.options.preparation:
            await self._set(preparation=preparation)


def _read_imager(files: list[Path]) -> Imager:
    tomls = [path for path in files if path.suffix.lower() == ".toml"]
    if len(tomls) != 1:
        raise ImagerError(
            f"{len(tomls)} TOML files were sent, expected one that describes the imager, and the "
            "file of its measured PSF if there is one"
        )
    return Imager.from_toml(tomls[0])


def _number(label: str, unit: str, value: float, low: float, high: float) -> ui.number:
    made = ui.number(f"{label} ({unit})", value=value, min=low, max=high).props("dense")
    return made.classes("w-full")
