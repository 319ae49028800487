"""Where a run computes: device, processes, and what these can do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from fociscope.devices import multiplies_bfloat16_faster, pick_device
from fociscope.errors import FociscopeError, RecipeError
from fociscope.files.safe.locks import locked_folder

__all__ = ["ComputeSettings", "end_other_processes", "is_lost_contact", "only_run_in"]

#: Variables in which launchers of several processes say the number of this one, or of its node.
_NUMBERS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "NODE_RANK", "GROUP_RANK")

_ABLE = {
    "cpu": ("32-true", "bf16-mixed"),
    "mps": ("32-true", "bf16-mixed"),
    "cuda": ("32-true", "bf16-mixed", "16-mixed"),
}


@dataclass(frozen=True)
class ComputeSettings:
    """Nodes with equally many devices each; every device is one process.

    Examples:
        >>> from fociscope.training import ComputeSettings
        >>> ComputeSettings("cpu", devices=2, nodes=2).processes
        4
    """

    accelerator: str = "auto"
    """`cpu`, `cuda`, `mps`, or `auto`: the best there is."""
    devices: int = 1
    """Number of devices of each node; on the CPU, of processes."""
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Number of processes that train together."""
        return self.devices * self.nodes

    @property
    def kind(self) -> str:
        """Kind of the devices: `cpu`, `cuda` or `mps`."""
        return pick_device("auto").type if self.accelerator == "auto" else self.accelerator

    def precision(
        self, name: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    ) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
        """Return the precision in which a recipe's network is trained here.

        Args:
            name: `optimisation.precision` of the recipe.

        Returns:
            The name itself; for `auto`, `bf16-mixed` where the device is faster in it (a CPU by
            measurement), else `32-true`.
        """
        if name != "auto":
            return name
        kind = self.kind
        on_cpu = kind == "cpu" and multiplies_bfloat16_faster()
        return "bf16-mixed" if on_cpu or (kind == "cuda" and _cuda_has_bf16()) else "32-true"

    def check(self, precision: str) -> None:
        """Refuse what this machine cannot do.

        Args:
            precision: `optimisation.precision` of the recipe.

        Raises:
            FociscopeError: if the machine has fewer devices, or a launcher has started another
                number of processes.
            RecipeError: if the device cannot compute in the precision.
        """
        kind = self.kind
        there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
        if self.devices > there.get(kind, self.devices):
            raise FociscopeError(
                f"{self.devices} devices are asked for, but this machine has {there[kind]} of kind "
                f"{kind}; ask for fewer, or for the CPU",
                fields=("devices", "device"),
                value=self.devices,
                most=there[kind],
            )
        able = [p for p in _ABLE[kind] if kind != "cuda" or p != "bf16-mixed" or _cuda_has_bf16()]
        if precision not in ("auto", *able):
            raise RecipeError(
                f"optimisation.precision is {precision}, which the device {kind} cannot; "
                f"choose among: {', '.join(['auto', *able])}"
            )
        started = os.environ.get("WORLD_SIZE", "1") if TorchElasticEnvironment.detect() else None
        if started is not None and int(started) != self.processes:
            raise FociscopeError(
                f"torchrun started {started} process(es), but the run asks for {self.processes} "
                f"(devices: {self.devices}, nodes: {self.nodes}); give both the same numbers",
                fields=("devices", "nodes"),
            )

    def prepare(self, threads: int) -> None:
        """Set the threads of this process and of those that it starts."""
        torch.set_num_threads(threads)
        if self.processes == 1:
            return
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # else Lightning chooses
        if self.nodes == 1 and sys.platform == "linux":  # no one else can reach the loopback
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

    @property
    def for_lightning(self) -> dict[str, Any]:
        """What `lightning.Trainer` calls these."""
        return {
            "accelerator": self.kind,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "auto" if self.processes == 1 else "ddp",
        }


def _cuda_has_bf16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def is_lost_contact(error: BaseException) -> bool:
    """Whether an error only says that another process is gone."""
    text = str(error)
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and ("/gloo/" in text or "NCCL" in text)
    )


def end_other_processes(launcher: Any, grace_s: float = 3.0) -> None:
    """End the processes that this one has started; they would otherwise wait for it for long.

    Args:
        launcher: Lightning's launcher, or None if it has started no process.
        grace_s: Time for them to end by themselves, in seconds.
    """
    processes = list(getattr(launcher, "procs", []))
    if processes:
        launcher.procs.clear()  # Lightning's observer kills this process too when it sees one end
    deadline = time.monotonic() + grace_s
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.wait()


@contextmanager
def only_run_in(folder: Path, *, again: bool = False) -> Iterator[None]:
    """Keep the folder of a run to it: to its first process, as only that one writes.

    Args:
        folder: Folder of the run.
        again: Whether this process may keep it already.

    Raises:
        FociscopeError: if another run is writing there, or the disk refuses.
    """
    is_first = all(os.environ.get(name, "0") == "0" for name in _NUMBERS)
    with locked_folder(folder, again=again) if is_first else nullcontext():
        yield
