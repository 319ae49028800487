"""`fociscope app` in a real browser: what a visitor does, and what must never happen."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import tomli_w
from numpy.typing import NDArray

from fociscope.imager import Imager
from fociscope.networks import find_model

pytest.importorskip("nicegui", reason="the app needs NiceGUI: pip install '.[app]'")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if CHROMIUM is None:
    pytest.skip("browser tests need Debian's chromium", allow_module_level=True)

#: Without the networking flags Chromium itself would look for its maker's hosts.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 60
EXAMPLE = Path(str(resources.files("fociscope.demo")))
PAIR = (EXAMPLE / "sensor_a.tif", EXAMPLE / "sensor_b.tif")

#: Drops files on the upload as a mouse does.
DROP = """async (files) => {
  const data = new DataTransfer();
  for (const [name, content] of files)
    data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name));
  const send = (to, kind) => to.dispatchEvent(
    new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}));
  const box = document.querySelector('.q-uploader');
  send(box, 'dragover');
  while (!box.querySelector('.q-uploader__dnd')) await new Promise(requestAnimationFrame);
  send(box.querySelector('.q-uploader__dnd'), 'drop');
}"""


class Served:
    """A running app, in a temporary folder of its own."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        command = "from fociscope.cli import main; main()"
        environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
        environment.pop("PYTEST_CURRENT_TEST", None)  # the server shall not know of tests
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", command, "app", "--no-browser", "--port", "0"]
                + [str(option) for option in options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
            )
        wait_for(lambda: "is at" in self.said or self.process.poll() is not None)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said)
        assert found, self.said
        self.port, self.address = int(found[1]), found[0]

    @property
    def said(self) -> str:
        return self.log.read_text()

    def visits(self) -> set[Path]:
        return set(self.folder.glob("fociscope-app-*/visit-*"))

    def ask(self, method: str = "GET", path: str = "/", **headers: str) -> int:
        """Return the status of a request with exactly these headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status


def wait_for(true: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    app = Served(tmp_path_factory.mktemp("app"))
    yield app
    if app.process.poll() is None:
        app.process.kill()
        app.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as pw:
        opened = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visitor:
    """A browser window of its own, with what it asked for and what went wrong in it."""

    def __init__(self, browser: Any, address: str, *, has_map: bool = True) -> None:
        self.window = browser.new_context(viewport={"width": 900, "height": 600})
        self.page = self.window.new_page()
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda opened: self.asked.append(opened.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note_error)
        self.page.goto(address)
        self.number = 0
        if has_map:
            self.new_map()

    def _note_error(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def new_map(self) -> None:
        """Wait for the next map."""
        self.page.wait_for_function(
            "n => Number(document.querySelector('[data-result]')?.dataset.result) > n",
            arg=self.number,
        )
        self.number = int(self.page.locator("[data-result]").get_attribute("data-result"))

    def drop(self, *files: tuple[str, bytes]) -> None:
        self.page.evaluate(DROP, [[n, base64.b64encode(c).decode()] for n, c in files])

    def drop_pair(self, *names: str) -> None:
        contents = [path.read_bytes() for path in PAIR]
        self.drop(*zip(names or [path.name for path in PAIR], contents, strict=True))
        self.new_map()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def send(self, field: str, *files: tuple[str, bytes]) -> None:
        """Choose files for a field, as its dialogue does."""
        with self.page.expect_file_chooser() as dialogue:
            self.page.get_by_role("button", name=f"{field}: choose files").click()
        dialogue.value.set_files(
            [
                {"name": name, "mimeType": "application/octet-stream", "buffer": content}
                for name, content in files
            ]
        )

    def open_instrument(self) -> None:
        self.page.get_by_text("Your imager and chip").click()

    def sees(self, text: str | re.Pattern[str]) -> None:
        self.page.get_by_text(text).first.wait_for()

    def press(self, slider: str, key: str, times: int = 1) -> None:
        """Move a slider with the keyboard; its inner part takes the focus."""
        found = self.page.get_by_role("slider", name=slider, exact=True)
        for _ in range(times):
            found.locator("[tabindex]").press(key)

    def download(self, button: str) -> bytes:
        with self.page.expect_download() as coming:
            self.page.get_by_role("button", name=button).click()
        return Path(coming.value.path()).read_bytes()

    def close(self) -> None:
        self.window.close()


@pytest.fixture
def visitor(served: Served, browser: Any) -> Iterator[Visitor]:
    came = Visitor(browser, served.address)
    yield came
    came.close()
    assert came.errors == []  # neither in scripts nor in the console


def test_opening_shows_the_example_with_its_truth(visitor: Visitor) -> None:
    visitor.sees(re.compile("Shipped example"))
    visitor.sees(re.compile(r"4 layer\(s\), \d+ foci .* against the truth: 9\d\.\d % of pixels"))
    visitor.page.locator(".js-plotly-plot canvas").first.wait_for(state="attached")  # in space


def test_no_request_leaves_the_machine(visitor: Visitor, served: Served) -> None:
    visitor.tab("Compare")
    visitor.tab("Take away")
    host = f"127.0.0.1:{served.port}/"
    local = (f"http://{host}", f"ws://{host}", "data:", f"blob:http://{host}")
    assert len(visitor.asked) > 10
    assert [url for url in visitor.asked if not url.startswith(local)] == []


def test_a_pair_that_is_dropped_becomes_a_map(visitor: Visitor) -> None:
    visitor.drop_pair("mouse_a.tif", "mouse_b.tif")

    visitor.sees("mouse_a.tif + mouse_b.tif")
    visitor.tab("Truth")
    visitor.sees("The truth behind this capture is not known.")


def test_one_sensor_takes_a_model_of_one_sensor(visitor: Visitor) -> None:
    visitor.drop(("alone.tif", PAIR[0].read_bytes()))
    visitor.new_map()

    visitor.sees(re.compile(r"1 sensor\(s\)"))
    visitor.sees(re.compile("self-check residual A [0-9.]+ %$"))


def test_a_mat_file_is_a_series_with_its_truth(visitor: Visitor) -> None:
    visitor.drop(("6.mat", (EXAMPLE / "truth.mat").read_bytes()))
    visitor.new_map()

    visitor.sees(re.compile("against the truth"))


def _npy(array: NDArray[np.float32]) -> bytes:
    memory = io.BytesIO()
    np.save(memory, array)
    return memory.getvalue()


def _series() -> NDArray[np.float32]:
    pair = np.stack([tifffile.imread(path) for path in PAIR]).astype(np.float32)
    return np.stack([pair, pair[:, ::-1], pair[:, :, ::-1]])


def test_the_time_slider_moves_through_a_series(visitor: Visitor) -> None:
    visitor.drop(("series.npy", _npy(_series())))
    visitor.new_map()

    visitor.press("Capture of the series", "ArrowRight")
    visitor.new_map()
    visitor.sees("2 of 3")


def _imager(**changes: Any) -> bytes:
    return tomli_w.dumps(
        Imager.reference().with_(**changes).model_dump(mode="json", exclude_none=True)
    ).encode()


def test_captures_are_seen_through_an_imager_file_that_is_dropped_with_them(
    visitor: Visitor,
) -> None:
    contents = [(path.name, path.read_bytes()) for path in PAIR]
    visitor.drop(*contents, ("chip.toml", _imager(pixel_pitch_um=45.0)))

    visitor.sees("sensor_a.tif + sensor_b.tif")
    visitor.sees(re.compile("51 x 51 pixels of 45 µm"))
    visitor.tab("Take away")
    visitor.sees(re.compile("--imager imager.toml"))


def test_chip_and_preparation_of_the_visitors_files(visitor: Visitor) -> None:
    visitor.drop_pair()
    visitor.open_instrument()
    visitor.send("Bad pixels", ("bad.npy", _npy(np.eye(51, dtype=np.float32)[None].repeat(2, 0))))
    visitor.new_map()
    crop = visitor.page.get_by_label("Crop: y, x, height, width (pixels)")
    crop.fill("4,5,40,44")
    crop.press("Enter")
    visitor.new_map()
    visitor.sees(re.compile("44 x 40 pixels"))

    crop.fill("4,5,400,44")
    crop.press("Enter")
    visitor.page.get_by_role("alert").filter(has_text="the crop reaches to y = 404").wait_for()
    visitor.tab("Take away")
    visitor.sees(re.compile("--bad-pixels bad.npy --crop 4,5,40,44"))


def test_a_model_and_the_layers_to_look_for_are_the_visitors(visitor: Visitor) -> None:
    visitor.send("Your own model", ("mine.safetensors", find_model("layers-ab").read_bytes()))
    visitor.new_map()
    visitor.page.get_by_label("Layers to look for").click()
    visitor.page.get_by_role("option", name="at most 2").click()
    visitor.new_map()

    visitor.tab("Take away")
    visitor.sees(re.compile("--model mine.safetensors --layers 2"))


def test_two_files_of_one_name_are_refused_in_words(visitor: Visitor) -> None:
    content = PAIR[0].read_bytes()
    visitor.drop(("image.tif", content), ("image.tif", content))

    said = visitor.page.get_by_role("alert").filter(has_text="2 files of this name")
    said.wait_for()


def test_the_truth_is_found_missed_or_false(visitor: Visitor) -> None:
    visitor.drop(("6.mat", (EXAMPLE / "truth.mat").read_bytes()))
    visitor.new_map()
    visitor.tab("Truth")

    visitor.sees("missed: cells that are there and not on the map")
    visitor.sees(re.compile(r"found \d+\.\d %, missed \d+\.\d %, false \d+\.\d % of the frame"))


def test_a_series_plays_and_is_drawn_over_its_frames(visitor: Visitor) -> None:
    visitor.drop(("series.npy", _npy(_series())))
    visitor.new_map()
    visitor.tab("Series")
    visitor.sees(re.compile(r"^1 of 3 frame\(s\) reconstructed"))
    visitor.page.get_by_role("button", name="Play").click()

    visitor.sees("3 of 3")
    visitor.sees(re.compile(r"^3 of 3 frame\(s\) reconstructed$"))
    depth = visitor.page.get_by_label("Depth of each layer, depth (µm)")
    assert depth.evaluate("plot => plot.data[0].x") == [1, 2, 3]


def test_all_frames_are_reconstructed_at_once(visitor: Visitor) -> None:
    visitor.drop(("series.npy", _npy(_series())))
    visitor.new_map()
    visitor.tab("Series")
    visitor.page.get_by_role("button", name="Reconstruct all").click()

    visitor.sees(re.compile(r"^3 of 3 frame\(s\) reconstructed$"))


def test_a_folder_is_followed(browser: Any, tmp_path: Path) -> None:
    arrivals = tmp_path / "arrivals"
    arrivals.mkdir()
    app = Served(tmp_path, "--watch", arrivals)
    try:
        visitor = Visitor(browser, app.address, has_map=False)
        visitor.sees("Waiting for captures in arrivals ...")
        for number in (1, 2):
            for sensor, path in zip("AB", PAIR, strict=True):
                shutil.copy(path, arrivals / f"{number}_{sensor}.tif")
            visitor.new_map()
            visitor.sees(f"{number} capture(s) came")
        visitor.tab("Series")
        visitor.sees(re.compile(r"^2 of 2 frame\(s\) reconstructed$"))
        visitor.close()
        assert visitor.errors == []
    finally:
        app.process.kill()
        app.process.wait()


def test_a_higher_threshold_leaves_fewer_cells(visitor: Visitor) -> None:
    remark = visitor.page.get_by_text(re.compile("there with .*, cells on"))

    def coverage() -> float:
        return float(re.search(r"cells on ([0-9.]+) %", remark.first.inner_text())[1])

    remark.first.wait_for()
    before = coverage()
    visitor.press("Cells where the probability exceeds", "PageUp", times=3)
    wait_for(lambda: coverage() < before)


def test_a_focus_that_is_chosen_is_pointed_at(visitor: Visitor) -> None:
    visitor.tab("Foci")
    rows = visitor.page.locator("tbody tr")
    rows.first.wait_for()
    traces = "document.querySelector('[aria-label=\"Depth map from above\"]').data?.length"
    visitor.page.wait_for_function(f"{traces} == 1")  # the table may come before the picture

    rows.first.click()
    visitor.page.wait_for_function(f"{traces} == 2")


def test_the_sliders_simulate_a_scene(visitor: Visitor) -> None:
    visitor.tab("Simulate")
    visitor.new_map()
    visitor.sees("Simulated scene")
    for name in ("Layers", "Depth of layer 1", "Coverage", "Peak SNR", "Pixel pitch"):
        visitor.press(name, "ArrowRight")
        visitor.new_map()
    visitor.sees(re.compile("against the truth"))


def test_the_archive_holds_what_the_command_would_write(visitor: Visitor) -> None:
    visitor.tab("Take away")
    with zipfile.ZipFile(io.BytesIO(visitor.download("Archive (ZIP)"))) as packed:
        names = set(packed.namelist())
        command = packed.read("command.txt").decode()
        summary = json.loads(packed.read("map/summary.json"))
        probability = tifffile.imread(io.BytesIO(packed.read("map/probability.ome.tif")))

    assert {"sensor_a.tif", "sensor_b.tif", "map/figure.png", "map/reconstruction.mat"} <= names
    assert command.startswith("fociscope reconstruct sensor_a.tif sensor_b.tif -o map")
    assert [entry["name"] for entry in summary["inputs"]] == ["sensor_a.tif", "sensor_b.tif"]
    assert probability.shape == (4, 51, 51)


def test_the_figure_comes_as_png_and_svg(visitor: Visitor) -> None:
    visitor.tab("Take away")

    assert visitor.download("Figure as PNG").startswith(b"\x89PNG")
    assert b"<svg" in visitor.download("Figure as SVG")[:2000]


def test_network_and_solver_are_compared(visitor: Visitor) -> None:
    visitor.tab("Compare")
    wanted = ["layers-ab, A and B", "Tikhonov, A alone"]
    visitor.sees(wanted[0])  # `all` below waits for nothing
    for box in visitor.page.get_by_role("checkbox").all():
        if (box.inner_text() in wanted) != (box.get_attribute("aria-checked") == "true"):
            box.click()
    visitor.page.get_by_role("button", name="Compare").click()

    visitor.sees(re.compile("2 methods, told of 4"))
    rows = visitor.page.get_by_label("Methods").locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == wanted


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("noise.tif", b"II*\0 this is no image", "noise.tif"),
        ("flat.npy", None, "the same value in every pixel"),
    ],
)
def test_a_bad_file_is_refused_in_words(
    visitor: Visitor, name: str, content: bytes | None, said: str
) -> None:
    if content is None:
        content = _npy(np.ones((2, 51, 51), dtype=np.float32))
    visitor.drop((name, content))

    message = visitor.page.get_by_role("alert").filter(has_text=said)
    message.wait_for()
    assert "visit-" not in message.inner_text()  # no folder of the server's
    visitor.sees(re.compile("Shipped example"))  # the map before it stays


def test_two_visitors_do_not_see_each_other(visitor: Visitor, served: Served, browser: Any) -> None:
    other = Visitor(browser, served.address)
    visitor.drop_pair("mine_a.tif", "mine_b.tif")
    other.tab("Simulate")
    other.new_map()

    visitor.sees("mine_a.tif + mine_b.tif")
    other.sees("Simulated scene")
    assert other.page.get_by_text("mine_a.tif").count() == 0
    assert visitor.page.get_by_text("Simulated scene").count() == 0
    other.close()


def test_what_is_sent_goes_with_the_visit(served: Served, browser: Any) -> None:
    before = served.visits()
    visitor = Visitor(browser, served.address)
    visitor.drop_pair()
    (mine,) = served.visits() - before
    assert sorted(path.name for path in mine.rglob("*.tif")) == ["sensor_a.tif", "sensor_b.tif"]

    visitor.close()
    wait_for(lambda: not mine.exists())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1"]
)
def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    assert served.ask(Host=f"127.0.0.1:{served.port}") == 200
    assert served.ask(Host=host.format(port=served.port)) == 403


def test_a_foreign_page_may_not_connect(served: Served) -> None:
    handshake = {
        "Host": f"127.0.0.1:{served.port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"

    assert served.ask(path=path, **handshake, Origin="http://evil.example") == 403
    assert served.ask(path=path, **handshake) == 403


def test_too_large_an_upload_is_refused_before_it_is_read(served: Served) -> None:
    mine = {"Host": f"127.0.0.1:{served.port}", "Origin": served.address}

    assert served.ask("POST", **mine, Content_Length=str(10**12)) == 413
    assert served.ask("POST", **mine, Transfer_Encoding="chunked") == 411


def test_no_other_machine_can_connect(served: Served) -> None:
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True).stdout
    mine = re.findall(rf"(\w+):{served.port:04X} 00000000:0000 0A", listening)
    assert mine == ["0100007F"]  # 127.0.0.1


def test_a_taken_port_is_a_plain_line(served: Served, fociscope: Callable[..., Any]) -> None:
    ran = fociscope("app", "--no-browser", "--port", served.port)

    assert ran.code == 1
    assert f"port {served.port} of 127.0.0.1 cannot be used" in ran.err
    assert ran.err.count("\n") == 1


def test_ctrl_c_ends_it_cleanly(browser: Any, tmp_path: Path) -> None:
    app = Served(tmp_path)
    visitor = Visitor(browser, app.address)
    visitor.drop_pair()
    app.process.send_signal(signal.SIGINT)

    assert app.process.wait(PATIENCE_S) == 0
    assert "Ended" in app.said
    assert "Traceback" not in app.said
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]
    with socket.socket() as free:
        assert free.connect_ex(("127.0.0.1", app.port)) != 0
    visitor.close()


def test_a_killed_app_is_swept_by_the_next_one_which_ends_when_it_is_asked_to(
    tmp_path: Path,
) -> None:
    killed = Served(tmp_path)
    (home,) = tmp_path.glob("fociscope-app-*")
    (home / "visit-1").mkdir()
    killed.process.kill()
    killed.process.wait()
    assert home.is_dir()
    app = Served(tmp_path)
    assert not home.exists()
    app.process.send_signal(signal.SIGTERM)

    assert app.process.wait(PATIENCE_S) == 0
    assert "Traceback" not in app.said
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]
