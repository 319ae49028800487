"""Starting up: quick imports, a version, a help text."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fociscope as package
from fociscope.cli import entry


def test_import_leaves_torch_alone():
    code = "import sys, fociscope; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rooms_are_there_after_the_import_of_the_package():
    code = (
        "import fociscope, sys\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
        "assert fociscope.solvers.tikhonov and fociscope.imager.LayerProjector\n"
        "for name in dir(fociscope):\n    getattr(fociscope, name)\n"
        "try:\n    fociscope.no_such_name\n"
        "except AttributeError as error:\n    assert 'no_such_name' in str(error)\n"
        "else:\n    raise SystemExit(1)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_help_leaves_torch_alone():
    code = (
        "import sys, fociscope.cli as cli\n"
        "sys.argv = ['fociscope', '--help']\n"
        "try:\n    cli.main()\n"
        "except SystemExit as stop:\n    sys.exit('torch' in sys.modules or stop.code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0
    for verb in ("demo", "simulate", "info", "calibrate", "train", "reconstruct"):
        assert verb in ran.stdout


def test_version(fociscope):
    ran = fociscope("--version")
    assert ran.code == 0
    assert ran.out.strip() == f"fociscope {package.__version__}"


def test_an_unknown_verb_is_refused(fociscope):
    assert fociscope("dance").code == 2


def test_the_package_runs_as_a_module():
    words = [sys.executable, "-m", "fociscope", "--version"]
    ran = subprocess.run(words, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == f"fociscope {package.__version__}"


def test_ctrl_c_before_a_verb_begins_is_one_line(monkeypatch, capsys) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "app", interrupted)
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "stopped; no half-written file is left\n"
