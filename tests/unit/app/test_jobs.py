"""The work of visitors: nobody waits for another's, and it ends with the visit."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from fociscope.app.jobs import Jobs, VisitEnded, running
from fociscope.app.session import Session

PATIENCE_S = 20.0


def test_two_long_jobs_do_not_stop_a_third_visitor() -> None:
    may_end = threading.Event()

    async def visitors() -> str:
        long = [asyncio.create_task(Jobs().long(may_end.wait, PATIENCE_S)) for _ in range(2)]
        more = [asyncio.create_task(Jobs().quick(may_end.wait, PATIENCE_S)) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await asyncio.wait_for(Jobs().quick(str, "map"), PATIENCE_S)
        may_end.set()
        assert await asyncio.gather(*long, *more) == [True] * 4
        return third

    assert asyncio.run(visitors()) == "map"


def test_a_visitor_has_a_map_while_a_long_job_of_theirs_is_at_work() -> None:
    may_end = threading.Event()

    async def visitor() -> None:
        jobs = Jobs()
        long = asyncio.create_task(jobs.long(may_end.wait, PATIENCE_S))
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(jobs.quick(str, "map"), PATIENCE_S) == "map"
        may_end.set()
        await long

    asyncio.run(visitor())


def test_quick_jobs_of_a_visitor_are_done_in_their_order() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.01 * (3 - number))
        done.append(number)

    async def visitor() -> None:
        jobs = Jobs()
        await asyncio.gather(*(jobs.quick(work, number) for number in range(3)))

    asyncio.run(visitor())
    assert done == [0, 1, 2]


def test_work_of_a_visitor_who_left_is_dropped_or_ends(tmp_path: Path) -> None:
    begun, seen, second = threading.Event(), threading.Event(), []

    async def visit() -> None:
        session = Session(tmp_path)

        def long() -> None:
            begun.set()
            for _ in range(2000):
                time.sleep(0.01)
                try:
                    session.jobs.check()
                except VisitEnded:
                    seen.set()
                    raise

        works = [
            asyncio.create_task(session.jobs.long(long)),
            asyncio.create_task(session.jobs.long(second.append, 1)),
        ]
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        session.close()
        ends = await asyncio.gather(*works, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
        with pytest.raises(asyncio.CancelledError):
            await session.jobs.quick(second.append, 2)
        assert await asyncio.to_thread(seen.wait, PATIENCE_S)

    asyncio.run(visit())
    assert second == []
    for _ in range(200):
        if not running():
            break
        time.sleep(0.01)
    assert running() == 0
