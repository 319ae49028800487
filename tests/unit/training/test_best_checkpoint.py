"""Which states are kept, and when a run stops early: on a trainer that does what it is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from fociscope.training._checkpoint import MONITORED, BestAndLastCheckpoint, stopped_early


class Trainer:
    def __init__(self) -> None:
        self.state = SimpleNamespace(fn=TrainerFn.FITTING)
        self.sanity_checking = self.should_stop = False
        self.callback_metrics: dict[str, float] = {}
        self.saved: list[str] = []

    def save_checkpoint(self, path: Path) -> None:
        self.saved.append(path.name)


def validated(selection: BestAndLastCheckpoint, *scores: float) -> Trainer:
    trainer: Any = Trainer()
    for score in scores:
        trainer.callback_metrics[MONITORED] = score
        selection.on_validation_end(trainer, None)  # type: ignore[arg-type]
    return trainer


def test_the_best_is_kept_before_the_last(tmp_path: Path) -> None:
    trainer = validated(BestAndLastCheckpoint(tmp_path), 0.5, 0.4, 0.6, 0.6)
    best, last = "best.ckpt", "last.ckpt"
    assert trainer.saved == [best, last, last, best, last, last]


def test_a_score_that_is_no_number_is_kept_only_for_want_of_another(tmp_path: Path) -> None:
    trainer = validated(BestAndLastCheckpoint(tmp_path), float("nan"))
    assert trainer.saved == ["best.ckpt", "last.ckpt"]


def test_a_first_score_that_is_no_number_does_not_stay_the_best(tmp_path: Path) -> None:
    assert validated(BestAndLastCheckpoint(tmp_path), float("nan"), 0.5).saved[2:] == [
        "best.ckpt",
        "last.ckpt",
    ]


@pytest.mark.parametrize(
    ("patience", "scores", "stops"),
    [
        (2, (0.5, 0.4), False),
        (2, (0.5, 0.4, 0.5), True),
        (2, (0.5, 0.4, 0.6, 0.5), False),
        (0, (0.5, 0.4, 0.4, 0.4), False),
    ],
)
def test_it_stops_after_validations_without_a_better_one(
    tmp_path: Path, patience: int, scores: tuple[float, ...], stops: bool
) -> None:
    assert validated(BestAndLastCheckpoint(tmp_path, patience), *scores).should_stop is stops


def test_a_folder_that_is_moved_keeps_its_best(tmp_path: Path) -> None:
    first, moved = (
        BestAndLastCheckpoint(tmp_path / "a", 3),
        BestAndLastCheckpoint(tmp_path / "b", 3),
    )
    validated(first, 0.5, 0.4)
    moved.load_state_dict(first.state_dict())
    assert validated(moved, 0.45).saved == ["last.ckpt"]
    assert moved.waited == 2


@pytest.mark.parametrize(("patience", "over"), [(2, True), (3, False), (0, False)])
def test_a_checkpoint_tells_whether_its_run_has_stopped(
    tmp_path: Path, patience: int, over: bool
) -> None:
    selection = BestAndLastCheckpoint(tmp_path, patience)
    validated(selection, 0.5, 0.4, 0.3)
    checkpoint = {"callbacks": {selection.state_key: selection.state_dict()}}
    assert stopped_early(checkpoint, patience) is over
    assert not stopped_early({}, patience)
