"""Fields that errors and warnings carry -> options of the verb that runs."""

from __future__ import annotations

import pytest

from fociscope.cli import app
from fociscope.cli.hints import options_for


@pytest.mark.parametrize(
    ("words", "fields", "options"),
    [
        (["reconstruct", "a.tif"], ("resume", "overwrite"), ["--resume", "--overwrite"]),
        (["reconstruct", "a.tif"], ("cell_diameter_um",), ["--cell-diameter"]),
        (["reconstruct", "a.tif"], ("tile_px", "formats"), ["--tile", "--format"]),
        (["train", "recipe.toml"], ("start_from", "resume"), ["--from", "--resume"]),
        (["simulate", "images-depth"], ("imager", "overwrite"), ["--imager", "--overwrite"]),
        (["calibrate", "beads.tif"], ("gap_um", "variable"), ["--gap-um", "--variable"]),
        (["app"], ("port",), ["--port"]),
        (["train", "recipe.toml"], ("optimisation.precision", "scenes_of_no_verb"), []),
        (["simulate"], ("overwrite",), []),
        ([], ("overwrite",), []),
    ],
)
def test_the_options_are_those_of_the_verb(words, fields, options) -> None:
    assert options_for(app, fields, words) == options
