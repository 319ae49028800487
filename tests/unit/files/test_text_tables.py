"""Tables of depths and of a stage in the encodings and layouts of spreadsheets and programs."""

from pathlib import Path

import numpy as np
import pytest

from fociscope.calibration import read_depths
from fociscope.errors import FileFormatError
from fociscope.files.captures.stage_table import read_stage_table

EXCEL_CSV = "Depth (\u00b5m);Intensity\r\n12,5;1\r\n150;2\r\n"
EXCEL_TEXT = "depth_um\tIntensity\r\n12,5\t1\r\n150\t2\r\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (EXCEL_CSV, "cp1252"),  # "CSV", in Windows' own encoding
        (EXCEL_CSV, "utf-8-sig"),  # "CSV UTF-8"
        (EXCEL_TEXT, "utf-16"),  # "Unicode text"
        ("plane,z/mm\n1,0.0125\n2,0.15\n", "ascii"),
        ("frame,Z position (microns)\n1,12.5\n2,150\n", "ascii"),
        ("position z [nm];plane\n12500;1\n150000;2\n", "ascii"),
        ("z_mm,depth_um\n5,12.5\n5.1,150\n", "ascii"),  # where the stage stood
        ("distance_um,z_um\n12.5,1\n150,2\n", "ascii"),
        ("plane depth_um\n1 12.5\n2 150\n", "ascii"),
        ("# two planes\ndepth_um\n12.5\n150\n", "ascii"),
        ("# two planes\n12.5\n150\n", "ascii"),
        ("depth_um\n12,5\n0\u202f150,0\n", "utf-8"),
        ("depth\n12.5 \u00b5m\n0.15 mm\n", "utf-8"),
    ],
)
def test_depths_as_programs_save_them(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "depths.csv").write_bytes(text.encode(encoding))
    np.testing.assert_allclose(read_depths(tmp_path / "depths.csv"), [12.5, 150])


@pytest.mark.parametrize("header", ["depth_um", "plane depth_um", "intensity, depth (mm)"])
def test_depths_of_numpy_savetxt(tmp_path: Path, header: str) -> None:
    columns = [[12.5, 150.0]] if header == "depth_um" else [[1, 2], [12.5, 150]]
    mm = 1e-3 if "mm" in header else 1
    columns[-1] = [depth * mm for depth in columns[-1]]
    np.savetxt(tmp_path / "d.txt", np.transpose(columns), header=header,
               delimiter="," if "," in header else " ")  # fmt: skip
    np.testing.assert_allclose(read_depths(tmp_path / "d.txt"), [12.5, 150])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfeodd", "not a table of depths"),
        (b"\x89\x81\x8d", "not a table of depths"),
        (b"depth,z_um\n12.5,1\n150,2\n", "names no unit"),
        (b"depth_um\n1 000\n2 000\n", "row 1 has 2 cells"),
        (b"plane\n1\n2\n", "'plane'"),
        (b"# plane\n", "not a table of depths"),
    ],
)
def test_what_is_no_table_is_refused_in_a_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "depths.csv").write_bytes(content)
    with pytest.raises(FileFormatError, match=why):
        read_depths(tmp_path / "depths.csv")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_stage_of_a_spreadsheet_with_decimal_commas(tmp_path: Path, encoding: str) -> None:
    text = "x (\u00b5m);Depth (\u00b5m);Note\n0;80,5;\u00e4\n40,25;80,5;\n"
    (tmp_path / "stage.csv").write_bytes(text.encode(encoding))
    found = read_stage_table(tmp_path / "stage.csv")
    np.testing.assert_allclose(found, [[0, 0, 80.5], [40.25, 0, 80.5]])
