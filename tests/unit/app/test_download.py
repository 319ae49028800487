"""What is taken away: formats from the registry of writers, and the command that gives the same."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nicegui", reason="the app needs NiceGUI: pip install '.[app]'")

from fociscope.app.capture_input import CaptureInput, shipped_example
from fociscope.app.download import archive, command_line, possible_formats
from fociscope.imager import Imager
from fociscope.reconstruction import Preparation
from fociscope.results import WRITERS, MapContent, Writer
from fociscope.workflows import ReconstructionOptions


@pytest.fixture
def of_a_plug_in() -> Iterator[str]:
    def write(content: MapContent, folder: Path) -> None:
        (folder / "notes.txt").write_text(content.result.model)

    WRITERS.register("notes", Writer("notes", ("notes.txt",), write, takes_series=False))
    yield "notes"
    WRITERS.unregister("notes")


def test_a_writer_of_a_plug_in_is_offered_and_written(of_a_plug_in: str) -> None:
    assert possible_formats(is_series=False) == tuple(WRITERS)
    assert of_a_plug_in not in possible_formats(is_series=True)
    packed = archive(shipped_example(), ReconstructionOptions(), (of_a_plug_in,))

    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        assert files.read("map/notes.txt") == b"layers-ab"
        assert f"--format {of_a_plug_in}" in files.read("command.txt").decode()


def test_the_command_names_all_that_was_chosen() -> None:
    captures = CaptureInput(
        kind="files",
        frames=np.zeros((1, 2, 51, 51), np.float32),
        names=("a.tif", "b.tif"),
        files=(Path("drop/a.tif"), Path("drop/b.tif")),
    )
    options = ReconstructionOptions(
        model=Path("drop/mine.safetensors"),
        layers=3,
        imager=Imager.reference(),
        dark=("drop/dark.tif",),
        flat=("drop/flat_a.tif", "drop/flat_b.tif"),
        bad_pixels=("drop/bad.tif",),
        preparation=Preparation(flip_b="x", crop=(1, 2, 40, 41)),
    )
    command = command_line(captures, options, ("csv",))

    assert command == (
        "fociscope reconstruct a.tif b.tif -o map --model mine.safetensors --layers 3 "
        "--imager imager.toml --dark dark.tif --flat flat_a.tif --flat flat_b.tif "
        "--bad-pixels bad.tif --flip-b x --crop 1,2,40,41 --format csv"
    )
