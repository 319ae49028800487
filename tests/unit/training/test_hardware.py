import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from fociscope.errors import FociscopeError, RecipeError
from fociscope.training import hardware
from fociscope.training.hardware import ComputeSettings, end_other_processes, is_lost_contact


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_cpu_computes_in_32_bits_and_in_bfloat16(precision: str) -> None:
    ComputeSettings("cpu", devices=8).check(precision)


def test_a_precision_that_the_device_cannot_is_refused() -> None:
    with pytest.raises(RecipeError, match="auto, 32-true, bf16-mixed"):
        ComputeSettings("cpu").check("16-mixed")


def test_an_old_gpu_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    ComputeSettings("cuda").check("16-mixed")
    with pytest.raises(RecipeError, match="auto, 32-true, 16-mixed"):
        ComputeSettings().check("bf16-mixed")


def test_more_devices_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(FociscopeError, match="has 1 of kind cuda"):
        ComputeSettings("cuda", devices=2).check("32-true")


def test_torchrun_and_the_options_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    ComputeSettings("cpu", devices=2, nodes=2).check("32-true")
    with pytest.raises(FociscopeError, match=r"torchrun started 4.*asks for 1"):
        ComputeSettings("cpu").check("32-true")


def test_processes_that_wait_for_this_one_are_ended() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    launcher = SimpleNamespace(procs=[sleeper])
    end_other_processes(launcher, grace_s=0.1)
    assert sleeper.returncode not in (None, 0)
    assert launcher.procs == []
    end_other_processes(None)


def test_lost_contact_is_told_from_other_errors() -> None:
    gone = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer"
    assert is_lost_contact(RuntimeError(gone))
    assert is_lost_contact(torch.distributed.DistNetworkError("timed out"))
    assert not is_lost_contact(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost_contact(ValueError(gone))


@pytest.mark.parametrize(("faster", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_mixed_where_that_is_measured_to_be_faster(
    faster: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "multiplies_bfloat16_faster", lambda: faster)
    assert ComputeSettings("cpu").precision("auto") == precision
    assert ComputeSettings("cpu").precision("32-true") == "32-true"
