"""What all pictures share: text that others chose is drawn as it is read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fociscope.evaluation import MethodScores, Score
from fociscope.evaluation.results import EvaluationResults
from fociscope.figures.contact_sheet import draw_contact_sheet
from fociscope.figures.reconstruction import draw_reconstruction
from fociscope.figures.style import as_read
from fociscope.files import ImagesDepth
from fociscope.reconstruction import load_model
from fociscope.report.curves import draw_conditions
from fociscope.simulation import simulate

#: The first is no formula, the second is one, and the third ends in the middle of one.
FORMULAS = ["c$_1_A.tif + c$_1_B.tif", "a$x^2$.tif", r"\$5$\frac$.tif"]


def pixels(text: str, **options: object) -> np.ndarray:
    figure = Figure(figsize=(5, 1))
    canvas = FigureCanvasAgg(figure)
    figure.text(0.05, 0.5, text, **options)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("name", FORMULAS)
def test_a_dollar_begins_no_formula(name: str) -> None:
    np.testing.assert_array_equal(pixels(as_read(name)), pixels(name, parse_math=False))


@pytest.mark.parametrize("name", ["\udcff.tif", "a\nb.tif", "bell\a.tif", "\x85.tif"])
def test_letters_that_no_font_has_become_signs(name: str) -> None:
    assert as_read(name).count("\ufffd") == 1
    assert (pixels(as_read(name)) < 255).any()


def test_other_names_stay_as_they_are() -> None:
    for name in ("sensor_a.tif + sensor_b.tif", "Zelle 5 µm, 日本.tif", "a\\b^{2}_%.tif"):
        assert as_read(name) == name


def shown(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_reconstruction_may_have_any_title(name: str) -> None:
    result = load_model("layers-ab", device="cpu").reconstruct(simulate(1, seed=1).captures[0])
    assert as_read(name) in shown(draw_reconstruction(result, name))


def test_a_contact_sheet_may_have_any_names() -> None:
    data = ImagesDepth(captures=np.ones((1, 2, 40, 44), np.float32))
    name = FORMULAS[0]
    figure = draw_contact_sheet(data, [f"{name}\nsample 1"], title=name, line=name)
    assert {as_read(name), f"{as_read(name)}\nsample 1"} <= set(shown(figure))


def test_a_report_may_be_of_any_data_set() -> None:
    given = Score(value=0.9, low=None, high=None)
    scores = MethodScores(scenes=1, matched_layers=False, accuracy=given, depth_error_um=given)
    results = EvaluationResults(
        suite={"name": "data"},
        versions={},
        threads=1,
        methods={
            "admm": {"kind": "solver", "oracle": False, "inputs": "", "seconds_per_scene": None}
        },
        conditions=[
            {
                "name": FORMULAS[0],
                "group": "data",
                "value": "",
                "scenes": 1,
                "scores": {"admm": scores},
            }
        ],
    )
    assert as_read(f"data set {FORMULAS[0]}") in shown(draw_conditions(results))
