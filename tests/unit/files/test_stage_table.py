"""Tables of a stage as people and spreadsheets save them; what is none is refused in a line."""

from pathlib import Path

import numpy as np
import pytest

from fociscope.errors import FileFormatError
from fociscope.files.captures.stage_table import read_stage_table


@pytest.mark.parametrize(
    "text",
    [
        "x_um,depth_um\n0,50\n10,50\n",
        "depth_um,x_um,note_mm\n50,0,1\n50,10,1\n",
        "x_mm;y_um;z (um)\n0;0;50\n0.01;0;50\n",
        "\ufeffframe,x_um,depth_um\n2,10,50\n1,0,50\n",
        "X (\u00b5m)\tDepth (\u00b5m)\n0\t50\n10\t50\n",
        "sep=;\nx_um;depth_mm\n0;0,0500\n10,0;0,0500\n",
        "bead,x_um,z_mm,depth_um\nleft,0,7,50\nleft,10,8,50\n",
        "depth_um,z_mm,x_um\n50,7,0\n50,7,10\n",
        "# swept in May\n# x_um depth_um\n0.0 5.0e1\n10.0 5.0e1\n",
    ],
)
def test_a_table_is_read_in_um_and_in_the_order_of_frames(text: str, tmp_path: Path) -> None:
    path = tmp_path / "stage.csv"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_allclose(read_stage_table(path), [[0, 0, 50], [10, 0, 50]])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("0,50\n10,50\n", "no column x_um"),
        ("x_um\n0\n", "no column depth_um"),
        ("x,depth_um\n0,50\n", "names no unit"),
        ("x_um,depth_um\n0,fifty\n", "stage's depth 1 reads 'fifty'"),
        ("x_um,depth_um\n0,50\n10\n", "not a table"),
        ("x_um,depth_um\n0,nan\n", "no finite numbers"),
        ("x_um,depth_um\n", "not a table"),
        ("frame,x_um,depth_um\n0,0,50\n1,10,50\n", "not 1 to 2"),
    ],
)
def test_what_is_no_table_of_a_stage_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "stage.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=why):
        read_stage_table(path)
