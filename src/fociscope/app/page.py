"""The page: captures on the left, what they show on the right; one visit per open page."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nicegui import ui

from fociscope.app.capture_panel import CapturePanel
from fociscope.app.compare_panel import ComparePanel
from fociscope.app.design_panel import DesignPanel
from fociscope.app.download import DownloadPanel
from fociscope.app.map_panel import MapPanel
from fociscope.app.plots import Theme
from fociscope.app.session import Session
from fociscope.workflows import ReconstructionOptions

__all__ = ["add_page"]

#: What the library's theme leaves open: calm surfaces, numbers that stand in columns, a drop zone
#: instead of an upload list, and no animation for those who want none.
STYLE = """
body { background: #f6f7f8; font-feature-settings: "tnum"; }
body.body--dark { background: #16191c; }
body .bar { background: #ffffff; color: #33393f; }
body.body--dark .bar, body.body--dark .q-card { background: #1d2125; color: #d7dde2; }
body.body--dark { --q-primary: #56b8b4; }
body.body--dark .bg-primary { color: #0d1214 !important; }
.nicegui-content { padding: 0; }
.nicegui-code pre, .nicegui-code code { white-space: pre-wrap; word-break: break-word; }
.q-uploader { width: 100%; max-height: none; box-shadow: none; border: 1.5px dashed #8a949c80; }
.q-uploader .q-uploader__list, .q-uploader__subtitle { display: none; }
.q-uploader__header { background: transparent; color: inherit; }
.q-uploader__title { white-space: normal; line-height: 1.3; font-weight: 500; }
.q-uploader--dnd { outline: 2px solid var(--q-primary); }
.q-table tbody tr { cursor: pointer; }
:focus-visible { outline: 2px solid var(--q-primary); outline-offset: 2px; }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
"""


#: How long a browser may take to say which theme it wants, s.
PATIENCE_S = 30.0
#: A plot in a tab that is hidden has no size; it is measured again when it is shown.
HIDDEN_PLOTS = """<script>
addEventListener("unhandledrejection", (event) => {
  const text = String(event.reason?.message ?? event.reason);
  if (text.includes("Resize must be passed a displayed plot")) event.preventDefault();
});
</script>"""


def add_page(home: Path, options: ReconstructionOptions, *, watch: Path | None = None) -> None:
    """Add the page; every time it is opened, a visit begins that ends with it.

    Args:
        home: folder below which visitors' files lie while they are there.
        options: with which each visit begins.
        watch: folder of images, or stack, that the page follows; None for none.
    """

    async def page() -> None:
        session = Session(home, options)
        ui.context.client.on_delete(session.close)
        ui.add_css(STYLE)
        ui.add_head_html(HIDDEN_PLOTS)
        ui.colors(primary="#2c7a7b", secondary="#51606b", accent="#d53f8c")
        _Page(session, ui.dark_mode(None), watch)

    ui.page("/", title="Fociscope")(page)


class _Page:
    """The parts of the page, and what moves between them."""

    def __init__(self, session: Session, theme: ui.dark_mode, watch: Path | None) -> None:
        self._session, self._theme, self._watch = session, theme, watch
        self._look = Theme(dark=False)
        self._header()
        grid = "w-full gap-3 p-3 grid grid-cols-1 lg:grid-cols-[330px_minmax(0,1fr)] items-start"
        with ui.element("main").classes(grid).props('id="main"'):
            self._capture = CapturePanel(session, self.theme, changed=self._changed, watch=watch)
            with ui.column().classes("w-full min-w-0 gap-2"):
                with ui.tabs().props("dense align=left no-caps inline-label") as tabs:
                    for name, icon in (
                        ("Map", "layers"),
                        ("Compare", "compare"),
                        ("Take away", "download"),
                        ("Design", "tune"),
                    ):
                        ui.tab(name, icon=icon)
                with ui.tab_panels(tabs, value="Map", animated=False, keep_alive=True) as panels:
                    panels.classes("w-full bg-transparent")
                    with ui.tab_panel("Map").classes("p-0"):
                        self._map = MapPanel(session, self.theme)
                    with ui.tab_panel("Compare").classes("p-0"):
                        self._compare = ComparePanel(session, self.theme)
                    with ui.tab_panel("Take away").classes("p-0"):
                        self._download = DownloadPanel(session)
                    with ui.tab_panel("Design").classes("p-0"):
                        self._design = DesignPanel(session, self.theme)
        ui.timer(0, self._begin, once=True)

    def theme(self) -> Theme:
        """Return the theme that is shown."""
        return self._look

    def _header(self) -> None:
        with ui.header().classes("items-center px-4 py-2 gap-3").props("bordered") as header:
            header.classes("bar")
            ui.icon("blur_on", size="24px").classes("text-primary")
            ui.label("Fociscope").classes("text-base font-medium").props(
                'role="heading" aria-level=1'
            )
            ui.label("cell foci in 3D, from chip-scale lensless imagers").classes(
                "text-xs opacity-60 max-sm:hidden"
            )
            ui.space()
            ui.label("on this machine only").classes("text-xs opacity-60 max-sm:hidden")
            button = ui.button(icon="dark_mode", on_click=self._switch_theme)
            button.props('flat round dense color=secondary aria-label="Dark or light"')

    async def _begin(self) -> None:
        """Ask the browser for its theme, and show the example."""
        dark = False
        with suppress(TimeoutError):  # a browser that is busy for so long gets the light one
            dark = await ui.run_javascript(
                "window.matchMedia('(prefers-color-scheme: dark)').matches", timeout=PATIENCE_S
            )
        self._set_theme(bool(dark))
        if self._watch is None:
            await self._capture.show_example()

    def _set_theme(self, dark: bool) -> None:
        self._look = Theme(dark=dark)
        self._theme.set_value(dark)

    def _switch_theme(self) -> None:
        self._set_theme(not self._look.dark)
        if self._session.result is not None:
            self._capture.draw()
            self._map.draw()
            self._compare.draw()
        self._design.draw()

    def _changed(self) -> None:
        """Draw a new map."""
        self._map.draw()
        self._compare.forget()
        self._download.draw()
