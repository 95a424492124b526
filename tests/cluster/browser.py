"""A real browser, driven by the WebDriver protocol: Debian's chromium and chromium-driver, no package of Python's."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's id in the protocol (W3C WebDriver, section 12)."""
FLAGS = (
    "--headless=new",
    "--no-proxy-server",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


def why_not() -> str | None:
    """Why there is no browser here, if there is none."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return (
        f"no browser: {' and '.join(missing)} missing (apt-get install chromium chromium-driver)" if missing else None
    )


class Browser:
    """One session. Raises `requests.HTTPError` for what the browser refuses, `TimeoutError` for what does not come."""

    def __init__(self, driver: str, size: tuple[int, int], profile: str) -> None:
        self.http = requests.Session()
        self.http.trust_env = False  # the driver is on this machine
        self.base = driver
        # Chromium's sandbox does not work as root.
        flags = [*FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"]
        options = {"args": flags + (["--no-sandbox"] if os.geteuid() == 0 else [])}
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        self.base = f"{driver}/session/{self.ask('POST', 'session', {'capabilities': wanted})['sessionId']}"

    def ask(self, method: str, what: str, body: object = None) -> Any:
        """One command of the protocol; its value."""
        answer = self.http.request(method, f"{self.base}/{what}".rstrip("/"), json=body, timeout=120)
        if not answer.ok:
            raise requests.HTTPError(f"{what}: {answer.text[:1000]}", response=answer)
        return answer.json()["value"]

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is loaded."""
        self.ask("POST", "url", {"url": url})

    def address(self) -> str:
        """Where the browser is now."""
        return str(self.ask("GET", "url"))

    def run(self, script: str) -> Any:
        """What a script in the page returns."""
        return self.ask("POST", "execute/sync", {"script": script, "args": []})

    def click(self, xpath: str, timeout_s: float = 60) -> None:
        """Click what an XPath finds, once it is there and nothing covers it."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                found = self.ask("POST", "element", {"using": "xpath", "value": xpath})
                self.ask("POST", f"element/{found[ELEMENT]}/click", {})
                return
            except requests.HTTPError as error:
                if time.monotonic() > end:
                    raise TimeoutError(f"cannot click {xpath} after {timeout_s:.0f} s") from error
            time.sleep(0.5)

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Until the page shows a text."""
        end = time.monotonic() + timeout_s
        while text not in (shown := str(self.run("return document.body.innerText"))):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.address()} does not show {text!r} after {timeout_s:.0f} s: {shown[:1000]}")
            time.sleep(0.5)

    def screenshot(self, file: Path) -> None:
        """What is seen, as PNG."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self.ask("GET", "screenshot")))


@contextmanager
def browser(size: tuple[int, int] = (1400, 1600)) -> Iterator[Browser]:
    """Starts the driver and a browser with an empty profile; both end with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as driver,
    ):
        try:
            _wait_until_listening(port)
            session = Browser(f"http://127.0.0.1:{port}", size, profile)
            try:
                yield session
            finally:
                session.ask("DELETE", "")
        finally:
            driver.terminate()


def _wait_until_listening(port: int, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)
