import re

import pytest
from PIL import Image

from fociscope.evaluation.methods import find_methods
from fociscope.evaluation.results import ConditionSummary
from fociscope.evaluation.run import evaluate_suite
from fociscope.evaluation.suite import SUITES, selected
from fociscope.report.cells import Table
from fociscope.report.labels import condition_label
from fociscope.report.page import file_bytes, html_page, pictures, tables_as_markdown, write_report
from fociscope.report.tables import all_tables


@pytest.fixture(scope="module")
def done():
    suite = selected(SUITES["quick"], "reference,published,snr-*,coverage-0")
    return evaluate_suite(suite, find_methods("layers-ab", "constant,tikhonov-oracle"))


@pytest.fixture(scope="module")
def folder(done, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, done.results, done.cases)
    return folder


def test_the_page_needs_nothing_from_anywhere(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']{1,40})""", page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page and "@import" not in page and "url(" not in page


def test_every_picture_is_there_as_png_and_pdf(done, folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    names = [picture.name for picture in pictures(done.results, done.cases)]
    assert {"conditions", "curves-accuracy", "reliability", "detection", "depth-reference"} <= set(
        names
    )
    assert {"case-best", "case-median", "case-worst"} <= set(names)
    assert len(names) == len(set(names)) == page.count("<img")
    for name in names:
        with Image.open(folder / "figures" / f"{name}.png") as picture:
            assert min(picture.size) > 300
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_results_give_the_same_bytes(done, folder):
    again = next(iter(pictures(done.results, [])))
    for suffix in ("png", "pdf"):
        content = (folder / "figures" / f"{again.name}.{suffix}").read_bytes()
        assert file_bytes(again.figure, suffix) == content


def test_published_figures_stand_beside_ours_and_say_what_they_leave_open(folder):
    text = (folder / "tables.md").read_text(encoding="utf-8")
    for words in ("Not like for like", "no noise level", "| 87 |", "| 4 |", "| 89 to 85 |"):
        assert words in text
    assert "constant baseline" in text


def test_tables_have_units_and_a_cell_for_every_column(done):
    for table in all_tables(done.results):
        assert all(len(row) == len(table.columns) for row in table.rows), table.title
        unitless = {"scenes", "method", "condition", "kind", "inputs", "MCC", "Dice", "our scenes"}
        for column in table.columns:
            if "error" in column or "accuracy" in column:
                assert re.search(r"\((%|µm)\)$", column), column
            else:
                assert (
                    column in unitless
                    or "%" in column
                    or " " in column
                    or "-" in column
                    or (column in {"published", "constant"})
                )


def test_an_oracle_is_marked(done):
    assert "tikhonov-oracle *" in tables_as_markdown(done.results)


def test_labels_say_what_varies():
    snr = ConditionSummary(name="snr-20", group="snr", value=20.0, unit="dB", scenes=1)
    assert condition_label(snr) == "peak SNR 20 dB"
    data = ConditionSummary(name="set", group="data", value="", scenes=1)
    assert condition_label(data) == "data set set"


def test_what_a_name_holds_does_not_become_markup(done):
    suite = done.results.suite.model_copy(update={"name": "<b>x</b>"})
    results = done.results.model_copy(update={"suite": suite})
    page = html_page(results, all_tables(results), [])
    assert "<b>x</b>" not in page and "&lt;b&gt;x&lt;/b&gt;" in page


def test_bars_in_a_cell_do_not_break_the_table():
    lines = Table("t", "n", ("a",), [["|y|"]]).markdown()
    assert lines[-2] == "| \\|y\\| |"
