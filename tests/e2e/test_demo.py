"""`fociscope demo`: the whole job on a shipped pair."""

from __future__ import annotations

from PIL import Image

from fociscope.workflows.demo import run_demo


def test_prints_scores_and_writes_pictures(fociscope, tmp_path):
    ran = fociscope("demo", "-o", tmp_path / "demo")
    assert ran.code == 0, ran.err
    for word in ("constant", "Dice", "error", "fociscope reconstruct"):
        assert word in ran.out
    for name in ("figure.png", "comparison.png"):
        with Image.open(tmp_path / "demo" / name) as picture:
            assert min(picture.size) > 600


def test_the_map_beats_the_constant_guess_by_far_and_is_not_overwritten(fociscope, tmp_path):
    done = run_demo(tmp_path / "demo")
    assert done.scores.accuracy.mean() > done.scores.constant_accuracy.mean() + 0.1
    assert done.depth_error_um.mean() < 60

    ran = fociscope("demo", "-o", tmp_path / "demo")
    assert ran.code == 1
    assert "--overwrite" in ran.err
    assert fociscope("demo", "-o", tmp_path / "demo", "--overwrite").code == 0
