import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.evaluation.batches import Batch, ReconstructionTask
from fociscope.evaluation.methods import (
    ConstantBaseline,
    MaskReadout,
    ModelMethod,
    SolverMethod,
    baseline_names,
    find_method,
    find_methods,
    solver_names,
)
from fociscope.evaluation.methods import _oracle as map_limit
from fociscope.evaluation.suite import SUITES, VALIDATION
from fociscope.imager import Imager, Registration


def told(**changes):
    values = {"imager": Imager(), "layers": 4, "min_separation_um": 250.0, **changes}
    return ReconstructionTask(**values)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return next(iter(SUITES["quick"].conditions[0].batches())).first(3)


def test_the_model_answers_with_all_that_is_scored(batch):
    model = ModelMethod("layers-ab", device="cpu")
    said = model.estimate(batch, told())
    assert said.mask.shape == said.probability.shape == batch.mask.shape
    assert said.depth_std_um.shape == said.depth_um.shape == (3, 4)
    assert said.residual.shape == (3, 2)
    assert (said.mask == batch.mask).mean() > 0.9


def test_the_model_refuses_what_it_was_not_made_for():
    model = ModelMethod("layers-ab", device="cpu")
    assert model.unsupported_reason(told()) is None
    assert "sensors A and B" in model.unsupported_reason(told(imager=Imager(sensors=1)))
    assert model.unsupported_reason(told(imager=Imager(pixel_pitch_um=40.0))) is None


def test_the_constant_never_looks(batch):
    constant = ConstantBaseline()
    dark = Batch(captures=np.zeros_like(batch.captures))
    one, other = (constant.estimate(b, told()) for b in (batch, dark))
    np.testing.assert_array_equal(one.depth_um, other.depth_um)
    np.testing.assert_array_equal(one.probability, other.probability)
    seen = VALIDATION.simulated(VALIDATION.scenes)
    np.testing.assert_allclose(one.depth_um[0], seen.depth_um.mean(axis=0), rtol=1e-5)
    assert one.mask.shape == batch.mask.shape
    assert (np.diff(one.depth_um[0]) > 0).all()


def test_the_constant_knows_how_many_layers_there_are(batch):
    said = ConstantBaseline().estimate(batch, told(layers=2))
    assert said.depth_um.shape == (3, 2)


@pytest.mark.parametrize("name", ["tikhonov", "fista"])
def test_a_solver_finds_layers_and_depths(batch, name):
    solver = SolverMethod(name)
    solver.prepare()
    said = solver.estimate(batch, told())
    assert said.mask.shape == said.intensity.shape == batch.mask.shape
    assert (said.mask == batch.mask).mean() > np.maximum(
        batch.mask.mean((2, 3)), 1 - batch.mask.mean((2, 3))
    ).mean()
    assert np.abs(said.depth_um - batch.depth_um).mean() < 120
    assert (np.diff(said.depth_um) >= 249).all()


def test_a_single_layer_is_put_at_its_likeliest_depth():
    single = next(c for c in SUITES["quick"].conditions if c.name == "single-layer")
    batch = next(iter(single.batches())).first(2)
    solver = SolverMethod("tikhonov")
    solver.prepare()
    said = solver.estimate(batch, single.task)
    assert said.depth_um.shape == said.depth_std_um.shape == (2, 1)
    np.testing.assert_allclose(said.depth_um, batch.depth_um, atol=20)


def test_an_oracle_is_told_the_depths_and_not_scored_on_them(batch):
    solver = SolverMethod("tikhonov-oracle")
    assert solver.oracle
    assert "true depths" in solver.inputs
    solver.prepare()
    said = solver.estimate(batch, told())
    assert said.depth_um is None
    far = Batch(batch.captures, batch.mask, batch.depth_um[:, ::-1].copy(), batch.layers)
    other = solver.estimate(far, told())
    assert not np.allclose(said.intensity, other.intensity)
    assert "true depths" in solver.unsupported_reason(told(depths_known=False))


def test_only_an_oracle_reads_the_truth(batch):
    blind = Batch(captures=batch.captures)
    solver = SolverMethod("tikhonov")
    solver.prepare()
    np.testing.assert_array_equal(
        solver.estimate(blind, told()).mask, solver.estimate(batch, told()).mask
    )


def test_the_limit_of_the_map_knows_noise_and_imager_but_default_specimens_alone():
    limit = find_method("map-oracle")
    assert limit.oracle
    for group in ("reference", "snr", "half-angle", "single-layer"):
        assert limit.unsupported_reason(told(group=group, peak_snr_db=30.0)) is None
    for group in ("coverage", "specimen", "shift", "surround", "data"):
        assert "default specimens" in limit.unsupported_reason(told(group=group, peak_snr_db=40.0))
    assert "with noise" in limit.unsupported_reason(told(group="reference", peak_snr_db=None))


def test_the_limit_of_the_map_is_fitted_to_the_noise_it_is_told(monkeypatch):
    monkeypatch.setattr(map_limit, "FIT_LAYERS", 4)
    conditions = {c.name: c for c in SUITES["quick"].conditions}
    right = {}
    for name in ("snr-20", "snr-30"):
        condition = conditions[name]
        scenes = next(iter(condition.batches())).first(2)
        said = find_method("map-oracle").estimate(scenes, condition.task)
        assert said.depth_um is None
        right[name] = (said.mask == scenes.mask).mean()
    assert 0.85 < right["snr-20"] < right["snr-30"]


def test_a_closed_form_refuses_a_turned_sensor():
    turned = Imager(registration=Registration(rotation_deg=2.0))
    assert "turned" in SolverMethod("tikhonov").unsupported_reason(told(imager=turned))
    assert SolverMethod("fista").unsupported_reason(told(imager=turned)) is None


def test_a_reading_finds_the_threshold_and_honest_probabilities():
    rng = np.random.default_rng(0)
    mask = rng.random((20, 2, 40, 40)) < 0.4
    light = rng.lognormal(np.where(mask, 0.5, -1.5), 0.5).astype(np.float32)
    reading = MaskReadout.fit(light, mask)
    # Equal spreads: the best threshold lies where both are equally likely, near the middle.
    assert np.exp(reading.threshold) - 0.05 == pytest.approx(np.exp(-0.45), rel=0.15)
    assert (reading.mask(light) == mask).mean() > 0.97
    stated = reading.probability(light)
    assert stated.mean() == pytest.approx(mask.mean(), abs=0.005)
    assert ((stated > 0.5) == reading.mask(light)).mean() > 0.99


def test_a_reading_smooths_where_that_helps():
    rng = np.random.default_rng(1)
    mask = np.zeros((10, 1, 40, 40), bool)
    mask[:, :, 10:30, 10:30] = True
    grainy = (mask * rng.random(mask.shape) * 2 + 0.8 * rng.random(mask.shape)).astype(np.float32)
    assert MaskReadout.fit(grainy, mask).smoothing_px > 0


def test_names_are_found_and_unknown_ones_refused():
    assert baseline_names() == ["constant", *solver_names(), "map-oracle"]
    assert [c.name for c in find_methods("layers-ab", "none")] == ["layers-ab"]
    some = find_methods("fista", "constant, fista")
    assert [c.name for c in some] == ["fista", "constant"]
    assert len(find_methods("layers-ab", "all")) == 1 + len(baseline_names())
    with pytest.raises(FociscopeError, match=r"no model or solver 'wiener'.*layers-ab.*tikhonov"):
        find_method("wiener")
