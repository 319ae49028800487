import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from fociscope.errors import FileFormatError, ModelError, OutputExistsError
from fociscope.imager import Imager
from fociscope.networks.calibration import OutputCalibration
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.layer_net import PSF_WIDTH, Architecture, LayerNet
from fociscope.networks.ood import feature_count
from fociscope.networks.psf_width import PsfWidthEstimator
from fociscope.networks.store import ModelInfo, find_model, read_model, shipped_models, write_model

SMALL = Architecture(layers=2, widths=(4, 8), blocks=(1, 1), context=8)
INFO = ModelInfo(
    name="a-model",
    architecture=SMALL,
    layers=2,
    imager=Imager(pixel_pitch_um=60.1, frame_px=(36, 80), boundary="reflect"),
    half_angle_deg=(12.0, 25.0),
    base_blur_px=(0.0, 1.2),
    peak_snr_db=(25.0, 50.0),
    calibration=OutputCalibration(
        logit_scale=(1.1, 0.9), logit_shift=(-0.1, 1 / 3), depth_std_scale=(2.0, 1.0)
    ),
)


def trained() -> LayerNet:
    """A network all of whose weights and running statistics differ from a fresh one's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = LayerNet(SMALL)
        with torch.no_grad():
            for tensor in (*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())):
                tensor.add_(0.1 * torch.rand_like(tensor))
    return net.eval()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a-model.safetensors"
    write_model(path, trained(), INFO)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


def edit_header(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a header; the checksum goes, as in files of an earlier version."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"].pop("sha256", None)
    edit(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def edit_info(path: Path, where: str, value: object) -> None:
    def edit(header: dict[str, Any]) -> None:
        info = json.loads(header["__metadata__"]["info"])
        *above, last = where.split(".")
        inner = info
        for key in above:
            inner = inner[key]
        inner[last] = value
        header["__metadata__"]["info"] = json.dumps(info)

    edit_header(path, edit)


# --- checksum -----------------------------------------------------------------------------------


def test_a_bit_that_flips_in_the_weights_is_seen(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-100] ^= 1
    model.write_bytes(content)
    refused(model, "damaged", "checksum does not hold")


def test_a_letter_that_changes_in_the_description_is_seen(model: Path) -> None:
    model.write_bytes(model.read_bytes().replace(b"60.1", b"60.2", 1))
    refused(model, "damaged", "checksum does not hold")


def test_a_model_of_an_earlier_version_has_no_checksum(model: Path) -> None:
    edit_header(model, lambda header: None)
    assert "sha256" not in model.read_bytes()[:20_000].decode("latin-1")
    assert read_model(model)[1] == INFO


# --- round trip ---------------------------------------------------------------------------------


def test_what_is_written_is_read(model: Path) -> None:
    network, info = read_model(model)
    assert info == INFO
    assert not network.training
    captures = torch.rand(2, 2, 36, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        told = torch.zeros(2, OPTICS_FEATURES), torch.tensor([1, 2])
        for ours, theirs in zip(network(captures, *told), trained()(captures, *told), strict=True):
            assert torch.equal(ours, theirs)


def test_the_same_model_is_written_as_the_same_bytes(model: Path, tmp_path: Path) -> None:
    network, info = read_model(model)
    for number in range(5):
        write_model(tmp_path / f"{number}.safetensors", network, info)
        assert (tmp_path / f"{number}.safetensors").read_bytes() == model.read_bytes()


def with_estimator(sensors: int = 2) -> LayerNet:
    """A network with a PSF-width estimator, none of whose numbers are those of a fresh one."""
    network = trained()
    network.psf_width = PsfWidthEstimator(SMALL.context + feature_count(sensors))
    for tensor in network.psf_width.state_dict().values():
        tensor.add_(0.1)
    return network.eval()


def test_a_psf_width_estimator_is_written_with_its_network(tmp_path: Path) -> None:
    path = tmp_path / "a-model.safetensors"
    written = with_estimator()
    write_model(path, written, INFO)
    read, expected = read_model(path)[0].state_dict(), written.state_dict()
    assert read.keys() == expected.keys()
    assert any(name.startswith(PSF_WIDTH) for name in read)
    assert all(torch.equal(read[name], expected[name]) for name in read)


def test_a_model_of_an_earlier_format_has_no_psf_width_estimator(model: Path) -> None:
    edit_header(model, lambda header: header["__metadata__"].update(format_version="2"))
    assert read_model(model)[0].psf_width is None


def test_a_psf_width_estimator_of_other_statistics_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-model.safetensors"
    write_model(path, with_estimator(sensors=1), INFO)
    refused(path, "psf_width")


@settings(
    max_examples=20, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    sensors=st.integers(1, 2),
    layers=st.integers(1, 6),
    patch_px=st.integers(1, 4),
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    scale=st.floats(1e-3, 1e3),
)
def test_any_network_comes_back_as_it_was(
    tmp_path: Path, sensors: int, layers: int, patch_px: int, widths: list[int], scale: float
) -> None:
    shape = Architecture(
        sensors=sensors, layers=layers, patch_px=patch_px, widths=tuple(widths),
        blocks=(1,) * len(widths), context=8,
    )  # fmt: skip
    calibration = OutputCalibration(
        logit_scale=(scale,) * layers, logit_shift=(-scale,) * layers,
        depth_std_scale=(1 / scale,) * layers, presence_scale=scale,
    )  # fmt: skip
    info = INFO.model_copy(
        update={
            "architecture": shape, "layers": layers, "calibration": calibration,
            "imager": INFO.imager.with_(sensors=sensors),
        }
    )  # fmt: skip
    network, path = LayerNet(shape), tmp_path / "any.safetensors"
    write_model(path, network, info, overwrite=True)
    again, said = read_model(path)
    assert said == info
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_the_layout_in_memory_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    write_model(path, trained().to(memory_format=torch.channels_last), INFO)
    read, expected = read_model(path)[0].state_dict(), trained().state_dict()
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_a_model_is_not_overwritten_unless_asked(model: Path) -> None:
    before = model.read_bytes()
    with pytest.raises(OutputExistsError):
        write_model(model, trained(), INFO)
    assert model.read_bytes() == before
    write_model(model, trained(), INFO.model_copy(update={"name": "another"}), overwrite=True)
    assert read_model(model)[1].name == "another"


def test_the_test_can_edit_a_header_without_harm(model: Path) -> None:
    edit_header(model, lambda header: None)
    edit_info(model, "name", "renamed")
    assert read_model(model)[1] == INFO.model_copy(update={"name": "renamed"})


# --- what is no model ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "6", "10", "", "1.0"])
def test_another_version_is_refused(model: Path, version: str) -> None:
    edit_header(model, lambda header: header["__metadata__"].update(format_version=version))
    refused(model, "version", repr(version), "train" if version == "1" else "update")


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2, 2)}, path)
    refused(path, "not a Fociscope model")
    save_file({"weight": torch.ones(2, 2)}, path, metadata={"format": "pt"})
    refused(path, "not a Fociscope model")


@pytest.mark.parametrize("kept", [1, 7, 8, 100, 2000, -1])
def test_a_truncated_file_is_refused(model: Path, kept: int) -> None:
    model.write_bytes(model.read_bytes()[:kept])
    refused(model, "damaged")


@pytest.mark.parametrize("length", [0, 5, 2**20, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_another_length_is_refused(model: Path, length: int) -> None:
    model.write_bytes(struct.pack("<Q", length) + model.read_bytes()[8:])
    refused(model, "damaged")


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": [10**6, 10**6]},
        {"shape": [-1]},
        {"data_offsets": [0, 10**12]},
        {"data_offsets": [10**12, 0]},
        {"dtype": "F64"},
        {"dtype": "O"},
        {"dtype": "I32"},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_lies_is_refused(model: Path, lie: dict[str, object]) -> None:
    edit_header(model, lambda header: header["stem.weight"].update(lie))
    refused(model, "damaged")


def test_a_pickle_is_refused_and_runs_nothing(
    tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    path, trace = tmp_path / "a.safetensors", tmp_path / "trace"
    path.write_bytes(pickle.dumps(touch(trace)))
    refused(path, "damaged")
    torch.save({"weight": torch.ones(2), "hook": touch(trace)}, path)
    refused(path, "damaged")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("where", "value", "word"),
    [
        ("name", "Not A Name\n", "name"),
        ("architecture.layers", 9, "architecture.layers"),
        ("architecture.heads", 2, "architecture.heads"),
        ("imager.gap_um", -1, "imager.gap_um"),
        ("half_angle_deg", "wide", "half_angle_deg"),
        ("calibration.logit_scale", [None], "calibration.logit_scale"),
        ("author", "me", "author"),
    ],
)
def test_a_damaged_description_is_refused(
    model: Path, where: str, value: object, word: str
) -> None:
    edit_info(model, where, value)
    refused(model, "description", word)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 50_000])
def test_a_description_that_is_none_is_refused(model: Path, text: str) -> None:
    edit_header(model, lambda header: header["__metadata__"].update(info=text))
    refused(model)


def test_weights_of_another_architecture_are_refused(model: Path, tmp_path: Path) -> None:
    edit_info(model, "architecture.layers", 3)
    refused(model, "damaged")
    path = tmp_path / "more.safetensors"
    metadata = {"format": "fociscope-model", "format_version": "2", "info": INFO.model_dump_json()}
    save_file({**trained().state_dict(), "extra": torch.ones(1)}, path, metadata=metadata)
    refused(path, "damaged")
    save_file({"stem.bias": torch.zeros(4)}, path, metadata=metadata)
    refused(path, "damaged")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("architecture.widths", [4, 8, 16]),
        ("calibration.logit_scale", [1.0]),
        ("imager.sensors", 1),
    ],
)
def test_a_description_whose_parts_do_not_fit_is_refused(
    model: Path, where: str, value: object
) -> None:
    edit_info(model, where, value)
    refused(model)


def test_a_description_with_an_endless_number_is_refused(model: Path) -> None:
    edit_header(model, lambda header: header["__metadata__"].update(info="1" * 5000))
    refused(model)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    net = trained()
    torch.nn.init.constant_(net.stem.bias, float("nan"))
    write_model(tmp_path / "nan.safetensors", net, INFO)
    refused(tmp_path / "nan.safetensors")


# --- finding ------------------------------------------------------------------------------------


def test_missing_files_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"gone\.safetensors"):
        read_model(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="nothing-of-ours"):
        find_model("nothing-of-ours")
    with pytest.raises(ModelError, match="layers-ab"):
        find_model(tmp_path / "model.pt")


def test_a_path_is_found_as_it_is(model: Path) -> None:
    assert find_model(model) == model
    assert find_model(str(model)) == model


def test_shipped_models_are_sound() -> None:
    for name in shipped_models():
        network, info = read_model(find_model(name))
        assert info.name == name
        assert sum(p.numel() for p in network.parameters()) < 2e6


def test_every_shipped_model_has_a_card_that_the_documentation_shows() -> None:
    for name in shipped_models():
        card = find_model(name).with_suffix(".md").read_text(encoding="utf-8")
        assert card.startswith(f"# {name}\n")
        shown = Path(__file__).parents[3] / "docs" / "models" / f"{name}.md"
        assert shown.read_text(encoding="utf-8") == card
