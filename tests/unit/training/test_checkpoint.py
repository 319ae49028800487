import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fociscope.errors import RecipeError
from fociscope.training._checkpoint import SafetensorsCheckpoint, read_checkpoint, write_checkpoint

NESTED: dict[str, Any] = {
    "epoch": 3,
    "rate": 0.1 + 0.2,
    "best": float("inf"),
    "done": False,
    "nothing": None,
    "text": 'a "quoted"\nÅ',
    "tuple": (1, (2.5, "x"), [True, (None,)], ()),
    "list": [],
    "empty": {},
    3: {0: {"step": torch.tensor(5.0), "moment": torch.randn(2, 3)}, (1, "a"): "tuple key"},
    True: "bool key",
    "tensor": {"tensor": "t0", "dict": [1], "tuple": []},
    "weights": {
        "f32": torch.randn(4, 2, 3, 3),
        "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "strided": torch.arange(12.0).reshape(3, 4).T[::2],
        "bf16": torch.randn(5).bfloat16(),
        "i64": torch.tensor([-(2**60), 7]),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(3.25, dtype=torch.float64),
        "none": torch.zeros(0, 3),
        "learned": torch.nn.Parameter(torch.ones(2)),
    },
}


def same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, Tensor):
        assert isinstance(ours, Tensor)
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
        return
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert [(type(k), k) for k in ours] == [(type(k), k) for k in theirs]
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    else:
        assert ours == theirs


def test_round_trip_of_all_that_may_nest(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "last.ckpt"
    write_checkpoint(path, NESTED)
    same(read_checkpoint(path), NESTED)
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]


def test_an_optimiser_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    def start() -> tuple[Tensor, torch.optim.Optimizer]:
        weights = torch.ones(3, requires_grad=True)
        return weights, torch.optim.AdamW([weights], lr=0.1)

    def steps(weights: Tensor, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (weights**4).sum().backward()
            optimizer.step()

    weights, optimizer = start()
    steps(weights, optimizer, 3)
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"optimizer": optimizer.state_dict(), "weights": weights})
    steps(weights, optimizer, 3)

    resumed, fresh = start()
    state = read_checkpoint(path)
    fresh.load_state_dict(state["optimizer"])
    with torch.no_grad():
        resumed.copy_(state["weights"])
    steps(resumed, fresh, 3)
    assert torch.equal(resumed, weights)


def test_tensors_that_share_memory_are_each_whole(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    write_checkpoint(tmp_path / "a.ckpt", {"whole": base, "again": base, "part": base[2:4]})
    same(read_checkpoint(tmp_path / "a.ckpt"), {"whole": base, "again": base, "part": base[2:4]})


def test_what_it_cannot_hold_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"epoch": 1})
    with pytest.raises(TypeError, match="object"):
        write_checkpoint(path, {"epoch": 2, "hook": object()})
    assert read_checkpoint(path) == {"epoch": 1}
    write_checkpoint(path, {"epoch": 2})
    assert read_checkpoint(path) == {"epoch": 2}


def refused(path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 50, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, NESTED)
    path.write_bytes(path.read_bytes()[:kept])
    refused(path)


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    refused(path)
    refused(tmp_path)
    save_file({"weight": torch.ones(2)}, path)
    refused(path)
    save_file({"weight": torch.ones(2)}, path, metadata={"format": "fociscope-checkpoint-2"})
    refused(path)


def test_a_pickle_is_refused_and_runs_nothing(
    tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    path, trace = tmp_path / "last.ckpt", tmp_path / "trace"
    torch.save({"epoch": 1, "hook": touch(trace)}, path)
    refused(path)
    path.write_bytes(pickle.dumps(touch(trace)))
    refused(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "state", [None, "{", '{"tensor": "t9"}', '{"a": 1, "b": 2}', "[1]"], ids=str
)
def test_a_damaged_state_is_refused(tmp_path: Path, state: str | None) -> None:
    path = tmp_path / "last.ckpt"
    metadata = {"format": "fociscope-checkpoint-1"} | ({} if state is None else {"state": state})
    save_file({"t0": torch.ones(2)}, path, metadata=metadata)
    refused(path)


def test_lightning_reads_writes_and_removes_through_it(tmp_path: Path) -> None:
    plugin, path = SafetensorsCheckpoint(), tmp_path / "step.ckpt"
    plugin.save_checkpoint({"epoch": 1, "weights": torch.ones(2)}, str(path))
    same(plugin.load_checkpoint(str(path)), {"epoch": 1, "weights": torch.ones(2)})
    plugin.remove_checkpoint(str(path))
    plugin.remove_checkpoint(str(path))
    assert not path.exists()
