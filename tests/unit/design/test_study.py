"""Spaces, scores by the network, fronts, and studies on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fociscope import workflows
from fociscope.design import (
    DesignSpace,
    ImagerDesign,
    pareto_front,
    read_study,
    score_design,
    sweep,
    write_commented_space,
)
from fociscope.design import study as study_module
from fociscope.design._captures import simulated_captures
from fociscope.design._network import ratio
from fociscope.design.results import STATE
from fociscope.errors import FileFormatError, FociscopeError, ImagerError, OutputExistsError
from fociscope.imager import Imager, photon_budget
from fociscope.report.design import design_page
from fociscope.simulation import SingleCells

QUICK = DesignSpace(
    frame_px=(32, 32), half_angle_deg=(14, 24), sensors=(1, 2), designs=3, scenes=16, network=False
)


def test_a_grid_takes_every_combination() -> None:
    space = DesignSpace(
        pixel_pitch_um=(40, 60), exposure_s=(0.01, 0.04), sensors=(1, 2), search="grid", grid=3,
        designs=18,
    )  # fmt: skip
    points = space.points()
    assert len(set(points)) == 18
    assert {p.pixel_pitch_um for p in points} == {40.0, 50.0, 60.0}
    assert sorted({round(p.exposure_s, 6) for p in points}) == [0.01, 0.02, 0.04]
    with pytest.raises(FociscopeError, match="has 18 designs, and designs = 17"):
        space.model_copy(update={"designs": 17}).points()


def test_a_sobol_sequence_covers_the_space_and_is_the_same_again() -> None:
    space = DesignSpace(pixel_pitch_um=(40, 60), half_angle_deg=(12, 28), designs=32)
    points = space.points()
    assert points == space.points()
    assert np.mean([p.pixel_pitch_um for p in points]) == pytest.approx(50, abs=1.0)
    assert points != space.model_copy(update={"seed": 1}).points()
    assert all(p.gap_um == 1000 and p.sensors == 2 for p in points)


def test_a_space_in_which_nothing_varies_is_refused() -> None:
    with pytest.raises(FociscopeError, match="nothing varies"):
        DesignSpace(pixel_pitch_um=(50, 50))


def test_the_commented_space_is_read_back_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    write_commented_space(path)
    space = DesignSpace.load(path)
    assert space.sensors == (1, 2)
    assert space.scenes == DesignSpace.model_fields["scenes"].default
    text = path.read_text(encoding="utf-8")
    assert all(f"{name} = " in text for name in DesignSpace.model_fields)
    with pytest.raises(OutputExistsError):
        write_commented_space(path)


def test_a_space_with_a_wrong_field_says_which(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text("pixel_pich_um = [40, 60]", encoding="utf-8")
    with pytest.raises(FociscopeError, match="did you mean pixel_pitch_um"):
        DesignSpace.load(path)


def test_a_base_without_a_half_angle_is_refused() -> None:
    with pytest.raises(ImagerError, match="no half angle"):
        DesignSpace(base="acus", half_angle_deg=(10, 20)).points()


def test_the_sibling_chip_begins_with_square_pixels_of_the_same_area() -> None:
    base = DesignSpace(base="sibling-36x80", half_angle_deg=(10, 20)).base_imager()
    assert base.square_pitch_um**2 == pytest.approx(2300 / 36 * 60)


def test_the_field_of_view_can_be_held() -> None:
    base = Imager.reference()
    half = ImagerDesign(27.5, 1.0, 18.0, 0.0, 1000.0, 0.05, 2)
    assert half.imager(base, "field").frame_px == (102, 102)
    assert half.imager(base).frame_px == (51, 51)


def test_photons_are_those_of_the_photon_budget() -> None:
    """Of one cell in a pixel: the mean over the frame is the budget's landing share."""
    imager = Imager.reference().with_(sensors=1, frame_px=(51, 51), gap_um=300.0)
    captures = simulated_captures(
        imager, SingleCells(cells_per_mm2=0.13, cell_diameter_um=1, brightness_sigma=0.0,
        autofluorescence=(0, 0)), 12, layers=1, min_separation_um=0.0, cell_photons_per_s=1e6,
        seed=0,
    )  # fmt: skip
    lone = captures.scenes.mask.sum(axis=(1, 2, 3)) == 1
    inner = captures.scenes.mask[:, 0, 15:36, 15:36].any(axis=(1, 2)) & lone
    assert inner.any()
    for n in np.flatnonzero(inner):
        depth = float(captures.scenes.depth_um[n, 0])
        budget = photon_budget(imager, cell_photons_per_s=1e6, depth_um=depth).sensors[0]
        photons = float(captures.clean[n].sum()) * captures.photons_per_light
        assert photons == pytest.approx(budget.landing_photons, rel=0.02)


def test_more_exposure_is_more_photons_and_less_noise() -> None:
    base = QUICK.base_imager()
    short, long = (
        score_design(ImagerDesign(55.0, 1.0, 18.0, 0.0, 1000.0, t, 2), QUICK, base=base)
        for t in (0.01, 0.02)
    )
    assert long.cell_photons == 2 * short.cell_photons
    assert long.pixel_photons == pytest.approx(2 * short.pixel_photons, rel=1e-6)
    assert long.peak_snr_db > short.peak_snr_db
    assert long.information_bits > short.information_bits
    assert long.emitter_depth_um < short.emitter_depth_um


def test_the_network_scores_a_design_and_refuses_one_outside_its_training() -> None:
    space = QUICK.model_copy(update={"network": True})
    base = space.base_imager()
    good = score_design(ImagerDesign.of(base), space, base=base)
    assert good.refused is None
    assert good.network.depth_error_um.value < good.network.constant_depth_error_um
    assert 0.8 < good.network.dice.value < 1
    blurred = ImagerDesign(20.0, 1.0, 28.0, 0.0, 1000.0, 0.05, 2)
    refused = score_design(blurred, space, base=base)
    assert "was trained for" in refused.refused
    assert refused.network is None
    assert refused.layers is not None
    dark = ImagerDesign(55.0, 1.0, 18.0, 0.0, 1000.0, 1e-5, 2)
    assert "peak SNR" in score_design(dark, space, base=base).refused


def test_an_impossible_design_is_listed_with_the_reason() -> None:
    wrong = ImagerDesign(55.0, 1.0, 1.0, 0.0, 1000.0, 0.05, 2)
    assert "half_angle_deg" in score_design(wrong, QUICK).refused


def test_a_ratio_of_sums_has_the_standard_error_of_a_mean_where_all_weigh_alike() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found = ratio(values, np.ones(4))
    assert found.value == pytest.approx(4.0)
    assert found.std_error == pytest.approx(values.std(ddof=1) / 2)


def test_a_front_holds_what_nothing_beats() -> None:
    rows = [[1, 4], [2, 2], [3, 3], [4, 1], [2, 2]]
    assert pareto_front(rows).tolist() == [True, True, False, True, True]


def test_a_study_optimises_its_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    """Differential evolution comes near the least of a known function."""
    from dataclasses import replace

    from fociscope.design._layers import LayerBounds

    def scored(design, space, *, base, number):
        worth = (design.pixel_pitch_um - 47) ** 2 + (design.half_angle_deg - 21) ** 2
        scores = study_module.DesignScores(number, design, (32, 32), 1, 2, 1.0, 1.0)
        return replace(scores, layers=LayerBounds(1.0, worth, 0.5, 1.0))

    monkeypatch.setattr(study_module, "score_design", scored)
    space = DesignSpace(
        pixel_pitch_um=(40, 60), half_angle_deg=(12, 28), search="optimise", designs=200,
        network=False, objective="depth_bound_um",
    )  # fmt: skip
    best = sweep(space).best("depth_bound_um")
    assert best.design.pixel_pitch_um == pytest.approx(47, abs=2)
    assert best.design.half_angle_deg == pytest.approx(21, abs=2)


def test_an_objective_of_the_network_needs_the_network() -> None:
    with pytest.raises(FociscopeError, match="needs the network"):
        sweep(QUICK.model_copy(update={"search": "optimise"}))


def test_a_study_is_written_read_back_and_never_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = workflows.design(QUICK, out)
    assert read_study(out / "summary.json").scores == study.scores
    with (out / "designs.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["number"]) for row in rows] == [0, 1, 2, 3]
    assert float(rows[1]["half_angle_deg"]) == pytest.approx(
        study.scores[1].design.half_angle_deg, rel=1e-5
    )
    assert not (out / STATE).exists()
    with pytest.raises(OutputExistsError, match="is not empty"):
        workflows.design(QUICK, out)
    page = design_page(study)
    assert page.count("<table>") >= 3
    assert "http" not in page.replace('xmlns="http', "")


def test_an_interrupted_study_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, calls = tmp_path / "study", []
    real = study_module.score_design

    def dies(design, space, **rest):
        calls.append(design)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(design, space, **rest)

    monkeypatch.setattr(study_module, "score_design", dies)
    with pytest.raises(KeyboardInterrupt):
        workflows.design(QUICK, out)
    assert [path.name for path in out.iterdir()] == [STATE]
    with pytest.raises(OutputExistsError, match="interrupted study"):
        workflows.design(QUICK, out)
    with pytest.raises(FociscopeError, match="another space"):
        workflows.design(QUICK.model_copy(update={"seed": 1}), out, resume=True)
    study = workflows.design(QUICK, out, resume=True)
    assert len(calls) == 5  # two of the first run, the one that died, and the last two
    assert len(study.scores) == 4
    with pytest.raises(FociscopeError, match="no interrupted study"):
        workflows.design(QUICK, out, resume=True)


def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text("{}", encoding="utf-8")
    with pytest.raises(FileFormatError):
        workflows.design(QUICK, tmp_path, resume=True)
