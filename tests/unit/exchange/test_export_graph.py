"""Exported graphs give the maps of the package, and say what they leave out."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import fociscope
from fociscope.errors import FociscopeError, OutputExistsError
from fociscope.exchange import OUTPUTS, export_graph
from fociscope.imager import Imager, Registration

DISPLACED = Registration(shift_um=(120.0, -70.0), rotation_deg=1.5, scale=1.01)
IMAGERS = {
    "layers-ab": Imager.reference(),
    "displaced": Imager.reference().with_(registration=DISPLACED),
    "single-a": fociscope.load_model("single-a").info.imager,
}
#: Largest difference: of shares, of the brightest light, of the gap.
TOLERANCE = 1e-4


def model_of(case: str) -> fociscope.reconstruction.Model:
    name = "layers-ab" if case == "displaced" else case
    return fociscope.load_model(name, imager=IMAGERS[case], device="cpu", precision="float32")


def scenes(case: str, frame_px: tuple[int, int], count: int) -> np.ndarray:
    """Captures in which the package fills no pixel, in counts."""
    imager = IMAGERS[case].with_(frame_px=frame_px)
    layers = 1 if case == "single-a" else 4
    captures = fociscope.simulate(
        count, seed=2, layers=layers, imager=imager, peak_snr_db=None
    ).captures
    return 1000 * captures


def assert_same_map(found: dict[str, np.ndarray], case: str, captures: np.ndarray) -> None:
    result = model_of(case).reconstruct(captures)
    np.testing.assert_array_equal(result.captures, captures)  # nothing was filled
    gap_um, brightest = IMAGERS[case].gap_um, float(result.intensity.max())
    units = {"intensity": brightest, "depth_um": gap_um, "depth_std_um": gap_um}
    for name in OUTPUTS:
        expected = getattr(result, name)
        assert found[name].shape == expected.shape
        difference = np.abs(found[name] - expected).max() / units.get(name, 1.0)
        assert difference < TOLERANCE, name


@pytest.fixture(scope="module", params=list(IMAGERS))
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def onnx_file(case: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("onnx") / f"{case}.onnx"
    export_graph(model_of(case), path)
    return path


@pytest.mark.parametrize(("frame_px", "count"), [((51, 51), 3), ((45, 62), 1)])
def test_onnx_runtime_gives_the_map(
    onnx_file: Path, case: str, frame_px: tuple[int, int], count: int
) -> None:
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    captures = scenes(case, frame_px, count)
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"captures": captures}), strict=True))
    assert_same_map(found, case, captures)


def test_openvino_gives_the_map_in_float32(onnx_file: Path, case: str) -> None:
    openvino = pytest.importorskip("openvino")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(onnx_file), "CPU", settings)
    for frame_px, count in (((51, 51), 2), ((45, 62), 1)):
        captures = scenes(case, frame_px, count)
        answer = compiled(captures)
        assert_same_map({name: answer[name] for name in OUTPUTS}, case, captures)


def test_the_onnx_file_says_what_it_is(onnx_file: Path, case: str) -> None:
    import onnx

    model = onnx.load(onnx_file)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["imager"] == IMAGERS[case].name
    assert facts["gap_um"] == str(IMAGERS[case].gap_um)
    assert "out-of-distribution check" in facts["not_included"]
    assert "out-of-distribution check" in model.doc_string
    assert json.loads(facts["outputs"]).keys() == OUTPUTS.keys()
    assert not any(len(tensor.external_data) for tensor in model.graph.initializer)


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch") / "model.pt2"
    export_graph(model_of("displaced"), path, to="torch")
    return path


def test_the_torch_program_gives_the_map(torch_file: Path) -> None:
    program = torch.export.load(torch_file).module()
    for frame_px, count in (((51, 51), 1), ((45, 62), 3)):
        captures = scenes("displaced", frame_px, count)
        found = program(torch.from_numpy(captures))
        assert_same_map({k: v.numpy() for k, v in found.items()}, "displaced", captures)


def test_the_torch_program_holds_no_pickle_and_no_path_of_a_machine(torch_file: Path) -> None:
    with zipfile.ZipFile(torch_file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert not any(data.startswith(b"\x80") and data.endswith(b".") for data in content.values())
    source = str(Path(fociscope.__file__).parent).encode()
    assert not any(source in data for data in content.values())
    facts = json.loads(next(v for k, v in content.items() if k.endswith("fociscope.json")))
    assert facts["model"] == "layers-ab"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("bioimageio") / "model.zip"
    export_graph("layers-ab", path, to="bioimageio", imager="published", layers=3)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_package_names_its_files_with_their_checksums(package: dict[str, bytes]) -> None:
    description = json.loads(package["rdf.yaml"])
    tensors = [one["test_tensor"] for one in (*description["inputs"], *description["outputs"])]
    files = [*tensors, description["weights"]["onnx"], description["documentation"]]
    for file in files:
        assert hashlib.sha256(package[file["source"]]).hexdigest() == file["sha256"]
    assert package[description["covers"][0]].startswith(b"\x89PNG")
    channels = description["outputs"][0]["axes"][1]["channel_names"]
    assert channels == ["layer_1", "layer_2", "layer_3"]
    assert {axis.get("unit") for axis in description["inputs"][0]["axes"][2:]} == {"micrometer"}


def test_the_test_tensors_are_what_the_graph_gives(package: dict[str, bytes]) -> None:
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(package["model.onnx"], providers=["CPUExecutionProvider"])
    captures = np.load(io.BytesIO(package["captures.npy"]))
    for name, found in zip(
        OUTPUTS, session.run(list(OUTPUTS), {"captures": captures}), strict=True
    ):
        expected = np.load(io.BytesIO(package[f"{name}.npy"]))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for to, ending in (("onnx", "onnx"), ("bioimageio", "zip")):
        paths = [tmp_path / f"{n}.{ending}" for n in range(2)]
        for path in paths:
            export_graph("single-a", path, to=to)
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"to": "tflite"}, "a.onnx", "tflite"),
        ({"to": "torch"}, "a.onnx", "ends in .pt2"),
        ({"layers": 7}, "a.onnx", "1 to 6 layer"),
        ({"imager": "published"}, "a.onnx", "has its imager already"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, settings: dict[str, object], name: str, words: str
) -> None:
    with pytest.raises(FociscopeError, match=words):
        export_graph(model_of("layers-ab"), tmp_path / name, **settings)
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        export_graph("single-a", path)
    assert path.read_text() == "mine"


def test_without_onnx_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(FociscopeError, match=r"\[export\]"):
        export_graph("single-a", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
