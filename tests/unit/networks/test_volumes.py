"""The volume network, its foci in three dimensions, their matching, and its file."""

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError, ModelError
from fociscope.imager import Imager
from fociscope.networks import (
    Architecture,
    LayerNet,
    VolumeArchitecture,
    VolumeModelInfo,
    VolumeNet,
    find_model,
    find_volume_foci,
    read_model,
    read_volume_model,
    write_volume_model,
)
from fociscope.networks.conditioning import optics_features
from fociscope.networks.volume_foci import near_probability
from fociscope.networks.volume_matching import (
    masks_within,
    match_volume_foci,
    true_volume_foci,
)
from fociscope.networks.volume_net import depth_distribution

TRUNK = Architecture(patch_px=2, widths=(4, 8), blocks=(1, 1))
SLICE_UM = np.arange(25.0, 1000, 50)


def small(slices: int = 5) -> VolumeNet:
    torch.manual_seed(0)
    return VolumeNet(VolumeArchitecture(trunk=TRUNK, slices=slices)).eval()


def info(slices: int = 5) -> VolumeModelInfo:
    return VolumeModelInfo(
        name="own",
        architecture=VolumeArchitecture(trunk=TRUNK, slices=slices),
        imager=Imager.reference(),
        half_angle_deg=(9.0, 30.0),
        base_blur_px=(0.0, 1.3),
        peak_snr_db=(18.0, 50.0),
    )


@pytest.mark.parametrize("frame", [(51, 51), (32, 45)])
def test_output_has_the_frame_of_the_captures(frame):
    network, optics = small(), optics_features(Imager.reference())[None].expand(2, -1)
    with torch.inference_mode():
        output = network(torch.rand(2, 2, *frame), optics)
    assert output.logit.shape == output.root_light.shape == (2, 5, *frame)
    assert float(output.root_light.min()) >= 0


def test_gain_of_a_sensor_has_no_effect():
    network, optics = small(), optics_features(Imager.reference())[None]
    captures = torch.rand(1, 2, 40, 40)
    gained = captures * torch.tensor([3.0, 0.2])[:, None, None]
    one, other = (network(c, optics).logit for c in (captures, gained))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_trunk_is_taken_over_from_a_layer_network():
    """All of the trunk is the layer network's afterwards; the slices' head is not touched."""
    torch.manual_seed(1)
    layers, volume = LayerNet(TRUNK), small()
    before = volume.head[-1].weight.clone()
    volume.load_trunk(layers.state_dict())
    torch.testing.assert_close(volume.down[1][0].body[2].weight, layers.down[1][0].body[2].weight)
    torch.testing.assert_close(
        volume.conditioning[0].weight,
        layers.conditioning[0].weight[:, : volume.conditioning[0].in_features],
    )
    torch.testing.assert_close(volume.head[-1].weight, before)


def test_trunk_of_other_widths_is_refused():
    other = LayerNet(Architecture(patch_px=2, widths=(6, 8), blocks=(1, 1)))
    with pytest.raises(ModelError, match="same widths and blocks"):
        small().load_trunk(other.state_dict())


def test_depth_distribution_adds_up_to_one():
    shares = depth_distribution(torch.rand(3, 7, 4, 4))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3, 4, 4))


def test_model_is_read_as_written(tmp_path):
    network, path = small(), tmp_path / "own.safetensors"
    write_volume_model(path, network, info())
    read, its_info = read_volume_model(path)
    assert its_info == info()
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], weight)


def test_models_of_layers_and_volumes_are_not_mistaken(tmp_path):
    path = tmp_path / "own.safetensors"
    write_volume_model(path, small(), info())
    with pytest.raises(ModelError, match="a model of volumes"):
        read_model(path)
    with pytest.raises(ModelError, match="not a model of volumes"):
        read_volume_model(find_model("layers-ab"))


def test_damaged_weights_are_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    write_volume_model(path, small(), info())
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="checksum"):
        read_volume_model(path)


def test_near_probability_sums_the_slices_within_reach():
    p = np.zeros((4, 1, 1))
    p[:, 0, 0] = [0.1, 0.2, 0.3, 0.9]
    near = near_probability(p, [0, 50, 100, 150], near_um=60)
    np.testing.assert_allclose(near[:, 0, 0], [0.3, 0.6, 1.0, 1.0], rtol=1e-6)


def test_focus_lies_at_its_weighted_place():
    """A focus over two slices and two pixels: centroid, extent, volume and spread by hand."""
    p = np.zeros((20, 9, 9))
    p[4, 3, 3], p[5, 3, 4] = 0.9, 0.6
    foci = find_volume_foci(p, 10 * p, SLICE_UM, pitch_um=55.0)
    assert len(foci) == 1
    assert foci.depth_um[0] == pytest.approx(225 * 0.6 + 275 * 0.4)
    assert foci.x_um[0] == pytest.approx(55 * (0.6 * 3.5 + 0.4 * 4.5))
    assert foci.y_um[0] == pytest.approx(55 * 3.5)
    spread = np.sqrt(0.6 * 0.4 * 50**2 + 50**2 / 12)
    assert foci.depth_std_um[0] == pytest.approx(spread)
    assert foci.volume_um3[0] == pytest.approx(1.5 * 55**2 * 50)
    assert foci.brightness[0] == pytest.approx(15.0)
    assert foci.probability[0] == pytest.approx(0.9)
    assert (foci.shallowest_um[0], foci.deepest_um[0]) == (175.0, 325.0)
    assert (foci.width_um[0], foci.height_um[0]) == (110.0, 55.0)


def test_foci_one_above_the_other_are_two():
    p = np.zeros((20, 9, 9))
    p[3, 4, 4], p[12, 4, 4] = 0.9, 0.7
    foci = find_volume_foci(p, p, SLICE_UM, pitch_um=55.0)
    np.testing.assert_allclose(foci.depth_um, [175, 625])
    np.testing.assert_allclose(foci.probability, [0.9, 0.7], rtol=1e-6)


def test_empty_volume_has_no_focus():
    foci = find_volume_foci(np.zeros((20, 9, 9)), np.zeros((20, 9, 9)), SLICE_UM, pitch_um=55.0)
    assert len(foci) == 0
    assert len(foci.rows()) == 0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(FociscopeError, match="a depth for each slice"):
        find_volume_foci(np.zeros((3, 9, 9)), np.zeros((3, 9, 9)), SLICE_UM, pitch_um=55.0)


def test_foci_match_only_within_both_distances():
    true = [[100, 50, 50], [500, 50, 50], [900, 50, 50]]
    found = [[150, 100, 50], [570, 50, 50], [900, 50, 140]]
    match = match_volume_foci(found, true)
    assert (match.hits, match.missed, match.false) == (1, 2, 2)
    np.testing.assert_allclose(match.axial_um, [50.0])


def test_small_foci_excuse_what_is_found_there():
    """A focus that does not count is neither a hit, nor missed, nor a false one."""
    match = match_volume_foci([[100, 50, 50]], [[110, 50, 50]], counts=[False])
    assert (match.hits, match.missed, match.false) == (0, 0, 0)


def test_each_true_focus_is_matched_once():
    match = match_volume_foci([[100, 50, 50], [110, 50, 50]], [[105, 50, 50]])
    assert (match.hits, match.missed, match.false) == (1, 0, 0)


def test_true_foci_are_weighted_by_light():
    mask = np.zeros((3, 5, 5), bool)
    mask[1, 2, 2:4] = True
    light = np.zeros((3, 5, 5))
    light[1, 2, 2], light[1, 2, 3] = 3.0, 1.0
    depth = np.full((3, 5, 5), 160.0)
    cells = mask * 2.0
    places, count = true_volume_foci(mask, light, depth, cells, pitch_um=10.0)
    np.testing.assert_allclose(places, [[160, 25, 27.5]])
    np.testing.assert_allclose(count, [4.0])


def test_masks_may_be_off_by_a_voxel():
    truth, predicted = np.zeros((2, 6, 9, 9), bool)
    truth[2, 4, 4] = predicted[3, 5, 4] = True
    assert masks_within(predicted, truth) == (1.0, 1.0)
    predicted[:] = False
    predicted[4, 4, 4] = True
    assert masks_within(predicted, truth) == (0.0, 0.0)
    assert masks_within(~truth, truth)[0] < 0.2
