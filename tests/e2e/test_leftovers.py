"""A refused command removes what a killed one has left, before any long work."""

from pathlib import Path

import pytest

from fociscope.files.safe.disk import unused_name

VERBS = {
    "export": ("export", "single-a", "-o", "model.onnx"),
    "calibrate-model": (
        "calibrate-model",
        "layers-ab",
        "--data",
        "known.h5",
        "-o",
        "m.safetensors",
    ),
    "info": ("info", "known.h5", "-o", "sheet.png"),
    "imager new": ("imager", "new", "chip.toml"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_it(verb: str, fociscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("known.h5").touch()
    words = VERBS[verb]
    output = Path(words[-1])
    output.write_text("earlier")
    unused_name(tmp_path, output.absolute()).write_text("left by a kill")
    ran = fociscope(*words)
    assert ran.code == 1
    assert "exists already" in ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"known.h5", output.name}
    assert output.read_text() == "earlier"
