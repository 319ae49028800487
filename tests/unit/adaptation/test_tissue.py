"""The tissue that captures show, by their statistics."""

from __future__ import annotations

import numpy as np
import pytest

import fociscope
from fociscope.adaptation import capture_features, match_tissue, peak_snr_db
from fociscope.adaptation.tissue import KEPT, _closest
from fociscope.imager import Imager
from fociscope.simulation import PerlinFoci, Sheets, SingleCells, simulate

PARTS = (PerlinFoci(), Sheets(), SingleCells())


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_a_tissue_is_found_among_others(number: int) -> None:
    seen = simulate(40, seed=31, specimen=PARTS[number])
    match = match_tissue(
        seen.captures, Imager.reference(), layers=4, min_separation_um=250.0, parts=PARTS
    )
    assert match.shares.argmax() == number
    assert match.shares[number] > 0.85
    assert match.distance < match.usual_distance


def test_a_mixture_is_found_in_its_shares() -> None:
    cells = simulate(45, seed=32, specimen=PARTS[2]).captures
    foci = simulate(15, seed=33, specimen=PARTS[0]).captures
    match = match_tissue(
        np.concatenate([cells, foci]),
        Imager.reference(),
        layers=4,
        min_separation_um=250.0,
        parts=PARTS,
    )
    assert match.shares == pytest.approx([0.25, 0.0, 0.75], abs=0.1)


def test_shares_of_the_closest_mean_are_those_it_was_made_of() -> None:
    means = np.random.default_rng(0).normal(size=(4, 200))
    shares = np.array([0.1, 0.0, 0.6, 0.3])
    assert _closest(means, shares @ means) == pytest.approx(shares, abs=1e-3)


def test_features_do_not_depend_on_the_unit_of_light() -> None:
    captures = fociscope.simulate(3, seed=1).captures
    one, other = (capture_features(k * captures, Imager.reference()) for k in (1.0, 4096.0))
    assert np.abs(one - other).max() < 1e-4


@pytest.mark.parametrize("snr_db", [30.0, 40.0])
def test_peak_snr_is_that_of_the_captures(snr_db: float) -> None:
    captures = fociscope.simulate(20, seed=2, peak_snr_db=snr_db).captures
    # Noise grows with the light, so that the median pixel has less than the brightest.
    assert snr_db - 1 < peak_snr_db(captures) < snr_db + 6


def test_the_broad_mixture_stays_a_part_of_what_is_drawn() -> None:
    seen = simulate(12, seed=34, specimen=PARTS[2]).captures
    match = match_tissue(seen, Imager.reference(), layers=4, min_separation_um=250.0, parts=PARTS)
    first = match.specimen.parts[0]
    assert (first.specimen.kind, first.share) == ("any-tissue", KEPT)
