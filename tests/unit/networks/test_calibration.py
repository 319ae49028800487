import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fociscope.networks.calibration import OutputCalibration, fit_calibration, fit_growth
from fociscope.networks.layer_net import LayerNetOutput

SCENES, LAYERS, SIDE = 40, 3, 40


def output(logit: Tensor, depth: Tensor, depth_std: Tensor) -> LayerNetOutput:
    sure = torch.full_like(depth, 40.0)
    return LayerNetOutput(
        logit, torch.zeros_like(logit), depth, depth_std.log(), sure, torch.zeros(len(depth), 8)
    )


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_identity_changes_nothing() -> None:
    calibration = OutputCalibration.identity(LAYERS)
    said = output(
        3 * normal(2, LAYERS, 5, 6, seed=0),
        normal(2, LAYERS, seed=1),
        normal(2, LAYERS, seed=2).exp(),
    )
    torch.testing.assert_close(calibration.probability(said), said.logit.sigmoid())
    torch.testing.assert_close(calibration.depth_std(said), said.depth_log_std.exp())


def test_each_layer_has_its_own_correction() -> None:
    calibration = OutputCalibration(
        logit_scale=(1.0, 2.0), logit_shift=(0.5, -1.0), depth_std_scale=(3.0, 0.5)
    )
    logit = torch.tensor([0.0, 1.5]).reshape(1, 2, 1, 1)
    expected = torch.tensor([0.5, 2.0]).sigmoid()
    said = output(logit, torch.zeros(1, 2), torch.tensor([[0.1, 0.2]]))
    torch.testing.assert_close(calibration.probability(said).flatten(), expected)
    torch.testing.assert_close(calibration.depth_std(said), torch.tensor([[0.3, 0.1]]))


def test_fitting_recovers_a_known_scale_and_shift() -> None:
    scale, shift = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([-1.0, 0.0, 0.7])
    logit = 2 * normal(SCENES, LAYERS, SIDE, SIDE, seed=3)
    true = (scale[:, None, None] * logit + shift[:, None, None]).sigmoid()
    mask = torch.bernoulli(true, generator=torch.Generator().manual_seed(4))
    spread = torch.tensor([1.0, 2.0, 0.25])
    depth, stated = normal(4000, LAYERS, seed=5), normal(4000, LAYERS, seed=6).exp()
    truth = depth + spread * stated * normal(4000, LAYERS, seed=7)

    probabilities = fit_calibration(
        output(logit, depth[:SCENES], stated[:SCENES]), mask, truth[:SCENES]
    )
    assert probabilities.logit_scale == pytest.approx(scale.tolist(), rel=0.03)
    assert probabilities.logit_shift == pytest.approx(shift.tolist(), abs=0.03)

    small = torch.zeros(4000, LAYERS, 1, 1)
    depths = fit_calibration(output(small, depth, stated), small, truth)
    assert depths.depth_std_scale == pytest.approx(spread.tolist(), rel=0.04)


def test_fitting_works_without_gradients_and_leaves_them_off() -> None:
    logit = normal(8, 1, 20, 20, seed=8)
    mask = torch.bernoulli(logit.sigmoid(), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        fitted = fit_calibration(output(logit, torch.zeros(8, 1), torch.ones(8, 1)), mask,
                                 torch.ones(8, 1))  # fmt: skip
        assert not torch.is_grad_enabled()
    assert fitted.logit_scale == pytest.approx([1.0], abs=0.15)
    assert fitted.depth_std_scale == pytest.approx([1.0])


def test_what_was_fitted_survives_json() -> None:
    fitted = OutputCalibration(
        logit_scale=(1 / 3,), logit_shift=(-1e-17,), depth_std_scale=(0.1 + 0.2,)
    )
    assert OutputCalibration.model_validate_json(fitted.model_dump_json()) == fitted
    with pytest.raises(ValidationError, match="bias"):
        OutputCalibration.model_validate({**fitted.model_dump(), "bias": [1.0]})


def answers(scenes: int, *, presence: float, error: float, seed: int) -> tuple:
    """Return depths of two layers, off by `error` stated deviations, and the truth."""
    depth, stated = normal(scenes, 2, seed=seed), normal(scenes, 2, seed=seed + 1).exp()
    truth = depth + error * stated * normal(scenes, 2, seed=seed + 2)
    said = output(torch.zeros(scenes, 2, 1, 1), depth, stated)
    return said._replace(presence_logit=torch.full_like(depth, presence)), truth


def covered(calibration: OutputCalibration, said: LayerNetOutput, truth: Tensor) -> float:
    inside = (said.depth - truth).abs() <= calibration.depth_std(said)
    return float(inside.double().mean())


def test_deviations_grow_where_the_number_of_layers_is_in_doubt() -> None:
    reference = answers(4000, presence=8.0, error=0.8, seed=20)
    doubtful = answers(4000, presence=0.5, error=6.0, seed=30)
    plain = OutputCalibration.identity(2)
    fitted = fit_growth(plain, reference, [doubtful])
    for said, truth in (reference, doubtful):
        assert covered(fitted, said, truth) == pytest.approx(0.683, abs=0.02)
    # Of a kind that training has not seen, as doubtful, too.
    assert covered(fitted, *answers(4000, presence=0.5, error=6.0, seed=40)) == pytest.approx(
        0.683, abs=0.03
    )


def test_sure_answers_and_no_other_kinds_leave_deviations_as_the_reference_has_them() -> None:
    reference = answers(4000, presence=8.0, error=0.8, seed=50)
    plain = OutputCalibration.identity(2)
    assert fit_growth(plain, reference, []) == plain
    empty = reference[0], torch.full_like(reference[1], torch.nan)
    assert fit_growth(plain, reference, [empty]) == plain
    wrong = answers(400, presence=8.0, error=6.0, seed=60)  # wrong, and as sure
    assert covered(fit_growth(plain, reference, [wrong]), *reference) == pytest.approx(
        0.683, abs=0.02
    )
