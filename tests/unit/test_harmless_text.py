"""Text from files never steers a terminal or a spreadsheet, nor exhausts memory in a parser."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.markdown import Markdown
from rich.table import Table

from fociscope.cli import main
from fociscope.cli.common import HarmlessConsole, show
from fociscope.configuration import load_toml
from fociscope.errors import ImagerError, harmless
from fociscope.imager import Imager
from fociscope.results.tables import as_written, csv_lines

NASTY = "a\x1b]0;title\x07\x1b[31m\r\x9b2J‮b"
PLAIN = r"a\x1b]0;title\x07\x1b[31m\r\x9b2J\u202eb"


def test_letters_that_steer_a_terminal_are_written_out() -> None:
    assert harmless(NASTY) == PLAIN
    assert harmless("µm 日本 … \n") == "µm 日本 … \n"


@pytest.mark.parametrize("kind", ["text", "table", "markdown"])
def test_nothing_that_is_printed_steers_the_terminal(kind: str) -> None:
    console = HarmlessConsole()
    table = Table()
    table.add_column(NASTY)
    table.add_row(NASTY)
    with console.capture() as captured:
        console.print({"text": NASTY, "table": table, "markdown": Markdown(NASTY)}[kind])
    said = captured.get()
    assert not any(letter in said for letter in "\x07\r\x9b\x1b\u202e")
    assert "title" in said


def test_names_are_no_pictures_and_stay_in_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    show("Of", "a:warning:\n[bold]b[/].tif")
    assert capsys.readouterr().out.split(maxsplit=1)[1] == "a:warning:\\n[bold]b[/].tif\n"


def test_info_of_a_file_whose_text_steers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a\x1b[2Jb.tif"
    tifffile.imwrite(path, np.ones((8, 9), np.uint16))
    monkeypatch.setattr("sys.argv", ["fociscope", "info", str(path)])
    main_without_exit()
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert r"a\x1b[2Jb.tif" in said.out


def main_without_exit() -> None:
    try:
        main()
    except SystemExit as stop:
        assert not stop.code


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@x", "'@x"),
        ("+a", "'+a"),
        ("-x.tif", "'-x.tif"),
        ("-1.5", "-1.5"),
        ("+3", "+3"),
        ("a\r\nb", r"a\r\nb"),
        ("\t=1", r"\t=1"),
        ("x.tif", "x.tif"),
        ("", ""),
    ],
)
def test_cells_are_no_formulas_and_stay_in_their_row(text: str, cell: str) -> None:
    assert as_written(text) == cell
    assert as_written(cell) == cell  # names that are read back are the same
    assert list(csv.reader(io.StringIO(csv_lines([[text, -2]])))) == [[cell, "-2"]]


@pytest.mark.parametrize(
    "content",
    [
        b"a" + b".a" * 33 + b" = 1",
        b"[a" + b".a" * 2**15 + b"]",
        b"".join(b"k%d.b.c.d.e = 1\n" % n for n in range(5000)),
        b"".join(b"1%d.5 = 1\n" % n for n in range(15_000)),
        b"".join(b"[a%d]\n" % n for n in range(21_000)),
        b"x = [" + b"{}," * 21_000 + b"]",
        b"dead_pixels = [" + b"1," * 200_000 + b"]",
    ],
)
def test_toml_that_would_take_much_memory_is_not_parsed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ImagerError, match=r"not a TOML file: .* parts|expected at most 5000"):
        Imager.load(tmp_path / "a.toml")


def test_long_lists_of_numbers_are_parsed() -> None:
    content = b"x = [" + b"1.25, " * 50_000 + b"]\ny.z = '1.2.3.4'\n"
    assert len(load_toml(content)["x"]) == 50_000


def test_of_very_many_errors_the_first_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"".join(b"a%d = 1\n" % n for n in range(5000)))
    with pytest.raises(ImagerError, match=r"a0: no such field.*and 49\d\d more") as raised:
        Imager.load(tmp_path / "a.toml")
    assert len(str(raised.value)) < 20_000
