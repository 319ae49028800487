"""Follow: captures of an instrument as they come, the newest on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from nicegui import ui

from fociscope.app.controls import say
from fociscope.app.following import Following
from fociscope.app.jobs import in_thread
from fociscope.app.session import Session
from fociscope.errors import FociscopeError

__all__ = ["FollowPanel"]

#: Seconds between two looks.
LOOK_S = 0.2


class FollowPanel:
    """What comes, what was left out, and whether the page shows the newest."""

    def __init__(
        self, session: Session, path: Path, *, is_open: Callable[[], bool], show: Callable[[], None]
    ) -> None:
        """Build it, and begin to look.

        Args:
            session: of the visitor.
            path: what is followed.
            is_open: whether the visitor looks at what is followed, and not at other captures.
            show: is called when there are new captures on the page.
        """
        self._session, self._is_open, self._show = session, is_open, show
        self._following = Following(path, session.options)
        self._shown = 0
        self._looking = asyncio.Lock()
        with ui.column().classes("w-full gap-1"):
            self._words = ui.label(f"Waiting for captures in {path.name} ...")
            self._words.classes("text-sm break-all").props('aria-live="polite"')
            self._newest = ui.switch("Show the newest", value=True, on_change=self.look)
            self._newest.props("dense")
            self._left_out = ui.label("").classes("text-xs text-amber-700 break-all")
        self._timer = ui.timer(LOOK_S, self._look)

    async def _look(self) -> None:
        try:
            came = await in_thread(self._following.poll)
        except FociscopeError as error:
            self._timer.deactivate()
            self._words.set_text(f"No longer followed: {error}")
            return
        following = self._following
        named = [f"{one.name}: {one.why}" for one in following.left_out]
        self._left_out.set_text(f"Left out: {'; '.join(named)}" if named else "")
        waiting = f", {following.waiting} incomplete" if following.waiting else ""
        if following.came or waiting:
            self._words.set_text(f"{following.came} capture(s) came{waiting}")
        if came:
            await self.look()

    async def look(self) -> None:
        """Show the newest capture, and draw those that came with it."""
        captures = self._following.captures
        if captures is None or not self._is_open():
            return
        session = self._session
        async with self._looking:
            captures, new = self._following.captures, self._following.came - self._shown
            assert captures is not None
            self._shown += new
            stays = not self._newest.value and session.result is not None
            try:
                await session.go_on(captures, new=new, frame=session.frame if stays else None)
            except FociscopeError as error:
                say(str(error), wrong=True)
                return
            self._show()
