"""The parts of a series on the workers of a dask scheduler; the files stay with this process.

A worker gets the captures, and what works on them, by wire and gives back the results, so it
needs neither our disk nor a copy of the model, only the same Fociscope. A worker that dies costs
the time of its parts: the scheduler hands them, with all they need, to another one.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from fociscope.errors import FociscopeError, one_line, printable
from fociscope.imager.geometry import Imager
from fociscope.networks.store import write_model
from fociscope.reconstruction.engine import Model, load_model
from fociscope.results.result import Reconstruction
from fociscope.series.frames import Captures, FrameOptions, reconstruct_frames
from fociscope.typing import Float32Array

__all__ = ["computed_on_cluster", "reconstruction_work"]

Result = TypeVar("Result")
Work = Callable[[Float32Array, int, Sequence[str]], Result]
"""Captures (frame, sensor, y, x), number of the first, names -> results."""

#: Parts under way for each worker: one that is computed, one that waits.
PARTS_PER_WORKER = 2
CONNECT_S = 10
WAIT_FOR_WORKERS_S = 60
#: What comes of an address at which no scheduler answers, or something else does.
_NO_SCHEDULER = (OSError, ValueError, TypeError, AssertionError, RuntimeError, MemoryError)


def computed_on_cluster(
    work: Work[Result],
    series: Captures,
    parts: Iterable[range],
    address: str,
    names: Sequence[str] = (),
) -> Iterator[tuple[range, Result]]:
    """Yield each part and its results, in order, whichever worker is done first.

    Only a few parts for each worker are under way at a time, so memory does not grow.

    Args:
        work: what is done with the captures (frame, sensor, y, x) of a part, the number of the
            first, and their names; it goes to the workers with all that it holds.
        series: the captures.
        parts: frames that are worked on at a time.
        address: of the scheduler.
        names: of the frames.

    Raises:
        FociscopeError: dask is not installed, no scheduler or worker answers, a part took all the
            workers down that tried it, or workers run another Fociscope.
        CaptureError: a frame cannot be reconstructed.
    """
    try:
        # dask is not typed, and not always there for a type checker to see.
        distributed: Any = import_module("distributed")
    except ImportError:
        raise FociscopeError(
            "computing on a cluster needs dask, which is not installed; run in a clone of "
            "Fociscope: pip install '.[cluster]'"
        ) from None
    with ExitStack() as opened:
        client = _connected(distributed, address, opened)
        for worker, its in client.run(version, "fociscope", on_error="return").items():
            _check_version(worker, its)
        yield from _in_order(client, work, series, parts, names)


def _connected(distributed: Any, address: str, opened: ExitStack) -> Any:
    """Return a client of a scheduler that has workers.

    Raises:
        FociscopeError: there is none at this address.
    """
    try:
        _check_scheduler(distributed, address)
        client = opened.enter_context(
            distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        )
        client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
    except _NO_SCHEDULER as error:
        where = printable(address) or "an empty address"
        raise FociscopeError(
            f"no dask scheduler with workers answers at {where} ({one_line(error)}); start "
            "'dask scheduler' and 'dask worker', and give the scheduler's address, such as "
            "tcp://127.0.0.1:8786"
        ) from None
    return client


def _check_scheduler(distributed: Any, address: str) -> None:
    """Have a scheduler say what it is, in a bounded time.

    A client bounds its attempts to connect, but neither the wait for an answer of some other server
    that listens there, nor what it reads from it.

    Raises:
        TimeoutError: nothing answers as a scheduler does.
        Exception: whatever reading its answer raises.
    """

    async def ask() -> None:
        how = distributed.Security().get_connection_args("client")
        async with distributed.rpc(address, connection_args=how, timeout=CONNECT_S) as server:
            await server.identity()

    async def ask_in_time() -> None:
        try:
            await asyncio.wait_for(ask(), CONNECT_S)
        except TimeoutError:
            raise TimeoutError(f"no answer in {CONNECT_S} s") from None

    # In a thread of its own, as a notebook runs a loop of events already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, ask_in_time()).result()


def _in_order(
    client: Any,
    work: Work[Result],
    series: Captures,
    parts: Iterable[range],
    names: Sequence[str],
) -> Iterator[tuple[range, Result]]:
    distributed: Any = import_module("distributed")
    gone = (import_module("distributed.client").FutureCancelledError, OSError)
    waiting: deque[tuple[range, Any]] = deque()
    left = iter(parts)
    more = True
    while True:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        while more and len(waiting) < PARTS_PER_WORKER * max(1, workers):
            part = next(left, None)
            if part is None:
                more = False
                break
            captures = series.read(part.start, part.stop)
            named = names[part.start : part.stop]
            future = client.submit(_done, work, captures, part.start, named, pure=False, retries=0)
            waiting.append((part, future))
        if not waiting:
            return
        part, future = waiting.popleft()
        try:
            made_with, result = future.result()
        except distributed.KilledWorker as error:
            raise FociscopeError(
                f"frames {part.start + 1} to {part.stop} took down every worker that tried them; "
                f"give the workers more memory ({one_line(error)})"
            ) from None
        except gone as error:
            raise FociscopeError(
                f"the dask scheduler is gone ({one_line(error)}); start it again and resume",
                fields=("resume",),
            ) from None
        except FociscopeError:
            raise
        except Exception as error:  # whatever may go wrong on another machine
            raise FociscopeError(
                f"a worker failed on frames {part.start + 1} to {part.stop} "
                f"({type(error).__name__}: {one_line(error)}); see its log, and resume",
                fields=("resume",),
            ) from error
        finally:
            future.release()
        _check_version("a worker", made_with)
        yield part, result


def _check_version(worker: str, its: object) -> None:
    ours = version("fociscope")
    if its != ours:
        has = f"runs Fociscope {its}" if isinstance(its, str) else "has no Fociscope"
        raise FociscopeError(f"{worker} {has}, this is {ours}; install the same on all of them")


class _Sent:
    """A model as it goes by wire: the bytes of its file, its imager, and how to compute."""

    def __init__(self, content: bytes, name: str, imager: Imager, how: dict[str, Any]) -> None:
        self.content = content
        self.name = name
        self.imager = imager
        self.how = how

    @classmethod
    def from_model(cls, model: Model) -> _Sent:
        """Pack a model."""
        with tempfile.TemporaryDirectory(prefix="fociscope-") as folder:
            path = Path(folder) / "model.safetensors"
            write_model(path, model.network, model.info)
            content = path.read_bytes()
        how = {
            "device": model.device.type,
            "refine": model.refine,
            "refine_depth": model.refine_depth,
            # The same on all workers, so that a series is in one kind of numbers.
            "precision": model.precision,
            "runtime": model.runtime,
        }
        return cls(content, model.info.name, model.imager, how)

    def unpacked(self) -> Model:
        """Load the model; the second time, it is there already."""
        digest = hashlib.sha256(self.content).hexdigest()
        with _loading:  # a worker may have several threads
            _packed[digest] = self.content
            try:
                return _loaded(digest, self.imager.model_dump_json(), **self.how)
            finally:
                del _packed[digest]


_loading = threading.Lock()
_packed: dict[str, bytes] = {}


@lru_cache(maxsize=2)
def _loaded(digest: str, imager_json: str, **how: Any) -> Model:
    import warnings

    with tempfile.TemporaryDirectory(prefix="fociscope-") as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(_packed[digest])
        with warnings.catch_warnings():  # the process that sent it has warned already
            warnings.simplefilter("ignore")
            imager = Imager.model_validate_json(imager_json)
            return load_model(path, imager=imager, **how)


def reconstruction_work(model: Model, options: FrameOptions) -> Work[Reconstruction]:
    """Return what reconstructs a part with a model, wherever it runs."""
    return partial(_reconstruct_part, _Sent.from_model(model), options)


def _reconstruct_part(
    sent: _Sent, options: FrameOptions, captures: Float32Array, first: int, names: Sequence[str]
) -> Reconstruction:
    """Run on a worker: reconstruct a part."""
    return reconstruct_frames(sent.unpacked(), captures, options, first, names=names)


def _done(
    work: Work[Result], captures: Float32Array, first: int, names: Sequence[str]
) -> tuple[str, Result]:
    """Run on a worker: work on a part, and say with which Fociscope."""
    return version("fociscope"), work(captures, first, names)
