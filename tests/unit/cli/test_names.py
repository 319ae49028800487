"""Names in help texts and completion are those of the registries."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fociscope.cli import names
from fociscope.evaluation.suite import SUITES
from fociscope.imager import Imager
from fociscope.networks import shipped_models
from fociscope.simulation import SPECIMEN_KINDS
from fociscope.solvers import SOLVERS
from fociscope.training import shipped_recipes

#: Runs the command line, and fails if it loads torch or NumPy.
LIGHT = """
import sys
from fociscope.cli import main
sys.argv[0] = "fociscope"
try:
    main()
finally:
    assert not {"torch", "numpy"} & set(sys.modules), "torch or NumPy was loaded"
"""


def light(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIGHT, *words],
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_names_are_those_of_the_registries() -> None:
    assert Imager.presets() == names.IMAGERS
    assert set(names.SPECIMENS) == set(SPECIMEN_KINDS)
    assert set(names.SOLVERS) == set(SOLVERS)
    assert list(names.SUITES) == list(SUITES)
    assert list(names.MODELS) == shipped_models()
    assert list(names.RECIPES) == shipped_recipes()


@pytest.mark.parametrize(
    ("verb", "listed"),
    [
        (["train"], names.RECIPES + names.MODELS),
        (["reconstruct"], names.MODELS),
        (["evaluate"], names.MODELS + names.SOLVERS + names.SUITES),
        (["simulate", "images-depth"], names.SPECIMENS),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_help_lists_the_names_within_80_columns(verb: list[str], listed: tuple[str, ...]) -> None:
    ran = light(*verb, "--help")
    assert ran.returncode == 0, ran.stderr
    words = " ".join(ran.stdout.replace("│", " ").split()).replace("- ", "-")
    assert [name for name in listed if name not in words] == []
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fociscope tr", ["train"]),
        ("fociscope train lay", ["layers-a", "layers-ab"]),
        ("fociscope reconstruct A.tif --model si", ["single-a"]),
        ("fociscope simulate images-depth --specimen any", ["any-tissue"]),
        ("fociscope evaluate adm", ["admm"]),
        ("fociscope train runs/my", []),  # the shell completes paths
    ],
)
def test_words_are_completed(line: str, offered: list[str]) -> None:
    place = str(len(line.split()) - 1)
    ran = light(_FOCISCOPE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == offered


@pytest.mark.parametrize(
    "words",
    [
        ["reconstruct", "gone", "-o", "map"],
        ["reconstruct", ".", "-o", "map", "--imager", "gone"],
        ["train", "gone.toml", "-o", "run"],
        ["train", "layers-ab", "-o", "run", "--data", "gone"],
        ["train", "layers-ab", "-o", "run", "--from", "gone.safetensors"],
        ["train", "--new", "mine.toml", "--imager", "gone"],
        ["evaluate", "gone.safetensors", "-o", "out"],
        ["evaluate", "layers-ab", "-o", "out", "--data", "gone"],
        ["simulate", "images-depth", "-o", "set", "--imager", "gone"],
    ],
    ids=" ".join,
)
def test_a_missing_file_is_noticed_before_torch_is_loaded(words: list[str]) -> None:
    ran = light(*words)
    assert "gone" in ran.stderr
    assert "there is no such file; check the path" in ran.stderr
    assert "AssertionError" not in ran.stderr
    assert ran.returncode == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train"], "name a recipe (layers-a, layers-ab, single-a"),
        (["train", "layers-ab"], "name the folder of the run"),
        (["train", "layers-ab", "--imager", "."], "--imager goes with --new"),
        (["train", "layers-ab", "--new", "x.toml"], "--new writes a recipe and trains nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_train_needs_is_said(words: list[str], says: str) -> None:
    ran = light(*words)
    assert ran.returncode in (1, 2)
    text = " ".join(ran.stderr.replace("│", " ").split())
    assert says in text
