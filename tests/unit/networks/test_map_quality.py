"""The map-quality check: fires on maps that are wrong, and names what is unusual."""

import pytest
import torch
from torch import Tensor

from fociscope.networks.map_quality import (
    NAMED,
    TERMS,
    MapQuality,
    MapTerms,
    fit_map_quality,
    is_wrong,
    map_terms,
)
from fociscope.networks.ood import CaptureStatistics, OutOfDistributionLimits, feature_count

SCENES = 6000


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def statistics(scenes: int, **values: float) -> CaptureStatistics:
    """Usual statistics but for those that are named."""
    fields = {name: torch.zeros(scenes) for name in CaptureStatistics._fields}
    fields |= {"wider": torch.zeros(scenes, 2), "features": torch.zeros(scenes, feature_count(2))}
    fields |= {name: torch.full((scenes,), value) for name, value in values.items()}
    return CaptureStatistics(**fields)


def terms(scenes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Terms, and maps that are wrong where the first of them is low."""
    drawn = normal(scenes, len(TERMS), seed=seed)
    return drawn, drawn[:, 0] + 0.1 * normal(scenes, seed=seed + 1) < -0.5


def as_terms(drawn: Tensor) -> MapTerms:
    share = torch.full((len(drawn),), 0.25)
    return MapTerms(drawn, expected_dice=share, depth_std=0.1 * share, coverage=share)


@pytest.fixture(scope="module")
def check() -> MapQuality:
    fitted = fit_map_quality(
        *terms(SCENES, seed=0), statistics(SCENES), torch.zeros(SCENES, dtype=torch.bool)
    )
    assert fitted is not None
    return fitted


def test_it_flags_wrong_maps_and_hardly_any_sound_one(check: MapQuality) -> None:
    drawn, wrong = terms(SCENES, seed=10)
    texts = check.quality_flags(as_terms(drawn), statistics(SCENES), gap_um=1000.0)
    flagged = torch.tensor([bool(text) for text in texts])
    assert float(flagged[wrong].double().mean()) > 0.8
    assert float(flagged[~wrong].double().mean()) < 0.02


@pytest.mark.parametrize(
    ("name", "cause", "advice"),
    [
        ("saturated", "saturation: 50.0 %", "shorter"),
        ("noisy", "noise: ", "average"),
        ("empty", "noise: ", "average"),
        ("psf_mismatch_near", "optics: ", "half angle"),
        ("psf_mismatch", "optics: ", "half angle"),
        ("unexplained", "the map does not explain the capture: 50 %", "residual"),
        ("sloping", "specimen: the light is little more than an even slope", "background"),
    ],
)
def test_it_names_the_cause_first_and_then_what_to_do(
    check: MapQuality, name: str, cause: str, advice: str
) -> None:
    bad = torch.zeros(1, len(TERMS)).double()
    bad[0, 0] = -4
    (text,) = check.quality_flags(as_terms(bad), statistics(1, **{name: 0.5}), gap_um=1000.0)
    assert text.startswith(cause)
    assert advice in text.split("): ")[1]


def test_the_specimen_is_named_where_the_capture_is_usual(check: MapQuality) -> None:
    bad = torch.zeros(1, len(TERMS)).double()
    bad[0, 0] = -4
    (text,) = check.quality_flags(as_terms(bad), statistics(1), gap_um=1000.0)
    assert text.startswith("specimen: cells in 25 % of the pixels")
    assert "Dice coefficient of 0.25" in text
    assert "25 µm" in text


def test_sound_maps_alone_fit_no_check() -> None:
    sound = torch.zeros(30, dtype=torch.bool)
    assert fit_map_quality(terms(30, seed=0)[0], sound, statistics(30), sound) is None


def test_a_map_without_cells_is_sound_where_there_are_none() -> None:
    empty = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    marked = empty.clone()
    marked[1, 0, 0, 0] = True
    mask = empty.clone()
    mask[2, 0, 0, 0] = True
    depth = torch.tensor([[0.2, 0.6]]).expand(3, 2)
    assert is_wrong(marked, mask, depth, depth).tolist() == [False, True, True]


@pytest.mark.parametrize(("off", "wrong"), [(0.05, False), (0.07, True)])
def test_depths_count_where_there_are_cells(off: float, wrong: bool) -> None:
    mask = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    mask[0, 0, :2] = True
    true = torch.tensor([[0.2, 0.6]])
    found = true + torch.tensor([[off, 0.4]])
    assert is_wrong(mask, mask, found, true).tolist() == [wrong]


def test_terms_follow_from_the_map() -> None:
    probability = torch.zeros(1, 2, 10, 10)
    probability[0, 0, :5] = 0.8
    found = map_terms(
        probability,
        torch.ones(1, 2),
        torch.ones(1, 2, 10, 10),
        torch.tensor([[0.03, 0.9]]),
        statistics(1),
    )
    assert found.terms.shape == (1, len(TERMS))
    assert float(found.expected_dice) == pytest.approx(2 * 0.4 / (0.4 + 0.5), rel=1e-3)
    assert float(found.depth_std) == pytest.approx(0.03)
    assert float(found.coverage) == pytest.approx(0.5)


def test_it_holds_a_limit_for_each_statistic_that_it_names(check: MapQuality) -> None:
    assert len(check.usual) == len(NAMED)
    assert MapQuality.model_validate_json(check.model_dump_json()) == check


LIMITS = OutOfDistributionLimits(
    saturated=0.01,
    noisy=-2.0,
    empty=-1.0,
    sloping=0.1,
    unexplained=0.1,
    odd=4.0,
    mean=(0.0,) * feature_count(2),
    whitening=tuple(tuple(row) for row in torch.eye(feature_count(2)).tolist()),
)
VALID = {"noisy": -3.0, "empty": -3.0, "unexplained": 0.3, "sloping": 0.5, "saturated": 0.04}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"saturated": 0.2}, "20 % of a sensor's pixels hold its greatest value"),
        ({"noisy": -1.0}, "the brightest pixel is only 2.7 times the noise"),
        ({"empty": 0.0}, "there is no structure beyond noise"),
    ],
)
def test_what_no_map_can_be_judged_for_is_described(changed: dict[str, float], says: str) -> None:
    (text,) = LIMITS.foreign(statistics(1, **(VALID | changed)))
    assert text.startswith(says)
    assert bool(text) == bool(changed)


def test_a_texture_of_no_imager_is_foreign() -> None:
    odd = statistics(2, **VALID)._replace(features=torch.zeros(2, feature_count(2)))
    odd.features[1, 0] = 6.0
    plain, texture = LIMITS.foreign(odd)
    assert plain == ""
    assert texture.startswith("its structure is unlike")
