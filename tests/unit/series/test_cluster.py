"""A series on two dask workers of which one is killed: nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import zarr

from fociscope.errors import CaptureError, FociscopeError
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse
from fociscope.reconstruction import load_model
from fociscope.series import cluster as on_cluster
from fociscope.series import series as module
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import reconstruct_series
from fociscope.simulation import simulate
from fociscope.workflows import LocateOptions, locate

distributed = pytest.importorskip("distributed")

FRAMES = 24


class Double:
    names = ()

    def __init__(self, captures: np.ndarray) -> None:
        self.captures, self.shape = captures, captures.shape

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self.captures[start:stop]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch) -> None:
    monkeypatch.setattr(module, "PART_FRAMES", 2)
    monkeypatch.setattr(module, "CHUNK_FRAMES", 2)


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Two workers, each its own process, on loopback: the scheduler's address, and the workers."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    }
    report = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
         "0", "--no-dashboard", "--scheduler-file", str(report)],
        env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(report),
             "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1",
             "--local-directory", str(tmp_path / f"worker{n}")],
            env=environment, stderr=subprocess.DEVNULL,
        )
        for n in range(2)
    ]  # fmt: skip
    try:
        for _ in range(300):
            if report.exists() and report.stat().st_size:
                break
            time.sleep(0.1)
        yield json.loads(report.read_text())["address"], workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_killed_worker_costs_nothing_but_time(cluster, tmp_path) -> None:
    address, workers = cluster
    captures = np.asarray(simulate(FRAMES, seed=78).captures)
    model = load_model("layers-ab", device="cpu")
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
    here, there = tmp_path / "here", tmp_path / "there"
    reconstruct_series(model, Double(captures), here)
    done = []

    def kill_one(frames: int, total: int) -> None:
        done.append(frames)
        if frames == 6:
            workers[0].send_signal(signal.SIGKILL)

    reconstruct_series(
        model, Double(captures), there, ReconstructionOptions(scheduler=address), progress=kill_one
    )
    assert workers[0].wait(5) == -signal.SIGKILL
    assert workers[1].poll() is None
    assert done == list(range(2, FRAMES + 1, 2))
    with (there / "frames.csv").open() as stream:
        numbers = [int(row["frame"]) for row in csv.DictReader(stream)]
    assert numbers == list(range(1, FRAMES + 1))
    one, other = (zarr.open_group(f / "reconstruction.ome.zarr", mode="r") for f in (here, there))
    assert one["0"].shape == other["0"].shape
    np.testing.assert_allclose(one["0"][:], other["0"][:], atol=1e-3)
    # What is wrong with a frame is said as it is here.
    captures[5, 0] = 0
    with pytest.raises(CaptureError, match="frame 6: sensor A holds no light"):
        reconstruct_series(
            model, Double(captures), tmp_path / "dark", ReconstructionOptions(scheduler=address)
        )


def test_emitters_are_located_on_workers_as_here(tmp_path) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-5, (2, 2, 20, 20))
    image, _ = EmitterResponse(Imager.reference(), (20, 20))(np.array([[500.0, 400.0, 350.0]]))
    np.save(tmp_path / "series.npy", noise + image.reshape(2, 20, 20))
    locate(tmp_path / "series.npy", tmp_path / "here")
    with distributed.LocalCluster(
        2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as workers:
        options = LocateOptions(scheduler=workers.scheduler_address)
        locate(tmp_path / "series.npy", tmp_path / "there", options)

    for table in ("emitters.csv", "frames.csv"):
        here, there = ((tmp_path / name / table).read_text() for name in ("here", "there"))
        assert here == there
        assert here.count("\n") == 3


def test_threads_of_a_worker_load_a_model_together() -> None:
    from fociscope.series import cluster as its

    sent = its._Sent.from_model(load_model("single-a", device="cpu"))
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda _: sent.unpacked(), range(4)))
    assert {model.info.name for model in models} == {"single-a"}


def test_workers_with_another_fociscope_are_named() -> None:
    from fociscope.series import cluster as its

    with pytest.raises(FociscopeError, match=r"tcp://w:1 runs Fociscope 0\.0\.1, this is"):
        its._check_version("tcp://w:1", "0.0.1")
    with pytest.raises(FociscopeError, match="has no Fociscope"):
        its._check_version("tcp://w:1", PackageNotFoundError("fociscope"))


def test_no_scheduler_is_one_line(tmp_path, monkeypatch) -> None:
    from fociscope.series import cluster as its

    monkeypatch.setattr(its, "CONNECT_S", 0.5)
    captures = np.asarray(simulate(2, seed=78).captures)
    with pytest.raises(FociscopeError, match="no dask scheduler"):
        reconstruct_series(
            load_model("layers-ab", device="cpu"),
            Double(captures),
            tmp_path / "map",
            ReconstructionOptions(scheduler="tcp://127.0.0.1:9"),
        )
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_server_at_the_address_is_one_line_in_bounded_time(monkeypatch, answer) -> None:
    """One that says nothing, and one that speaks HTTP."""
    monkeypatch.setattr(on_cluster, "CONNECT_S", 1)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()

    threading.Thread(target=serve, daemon=True).start()
    address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(
        FociscopeError, match=r"no dask scheduler .*; start 'dask scheduler'"
    ) as one:
        list(on_cluster.computed_on_cluster(print, Double(np.zeros((0, 2, 51, 51))), [], address))
    assert "\n" not in str(one.value)
    assert time.monotonic() - started < 20
    server.close()


@pytest.mark.parametrize("address", ["", "nonsense", "http://127.0.0.1:1", "inproc://x"])
def test_addresses_that_are_none_are_one_line(address) -> None:
    with pytest.raises(FociscopeError, match="no dask scheduler with workers answers at"):
        list(on_cluster.computed_on_cluster(print, Double(np.zeros((0, 2, 51, 51))), [], address))
