"""Jupyter as a person uses it: the address with the token in a browser, a notebook, Run All Cells."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.cluster.browser import Browser

RESULT_MIME = "application/vnd.sparkqfs.result+json"
MENU = "//li[contains(@class, 'lm-MenuBar-item')][.//div[text()='{name}']]"
ITEM = "//li[contains(@class, 'lm-Menu-item')][@data-command='{command}']"


def choose(browser: Browser, menu: str, command: str, timeout_s: float = 60) -> None:
    """Choose an item of a menu. A page that is still drawing closes menus: then once more."""
    end = time.monotonic() + timeout_s
    while True:
        browser.click(MENU.format(name=menu), timeout_s)
        try:
            browser.click(ITEM.format(command=command), timeout_s=3)
            return
        except TimeoutError:
            if time.monotonic() > end:
                raise


@dataclass(frozen=True)
class Jupyter:
    """A server, and the token for its interface."""

    url: str
    token: str

    @classmethod
    def of(cls, address: str) -> Jupyter:
        """From the address that `invoke token` gives."""
        url, _, token = address.partition("/lab?token=")
        return cls(url, token)

    def api(self, method: str, what: str, body: object = None) -> Any:
        """The server's own interface; `None` for an empty answer."""
        with requests.Session() as http:
            http.trust_env = False
            headers = {"Authorization": f"token {self.token}"}
            answer = http.request(method, f"{self.url}/api/{what}", json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def terminal(self, lines: Sequence[str], timeout_s: float = 60) -> str:
        """What a new terminal shows after these lines are typed, without colours, as Jupyter's page gets it.

        Raises `TimeoutError` with what was shown so far.
        """
        name = self.api("POST", "terminals")["name"]
        address = f"{self.url.replace('http', 'ws', 1)}/terminals/websocket/{name}"
        headers = [f"Authorization: token {self.token}"]
        shown, end = "", time.monotonic() + timeout_s
        try:
            socket = websocket.create_connection(address, timeout=timeout_s, header=headers, http_no_proxy=["*"])
            try:
                socket.send(json.dumps(["set_size", 40, 200, 800, 1600]))
                for line in (*lines, "echo the-'end'"):
                    socket.send(json.dumps(["stdin", line + "\r"]))
                while "the-end" not in shown:
                    if time.monotonic() > end:
                        raise TimeoutError(shown)
                    kind, *words = json.loads(socket.recv())
                    shown += words[0] if kind == "stdout" else ""
            finally:
                socket.close()
        finally:
            self.api("DELETE", f"terminals/{name}")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)

    def copy_with(self, notebook: str, copy: str, parameters: str) -> None:
        """A copy of a notebook with other parameters, as a person would make one."""
        content = self.api("GET", f"contents/{notebook}")["content"]
        (cell,) = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        cell["source"] = parameters
        self.api("PUT", f"contents/{copy}", {"type": "notebook", "format": "json", "content": content})

    def run_all(self, browser: Browser, notebook: str, picture: Path, timeout_s: float) -> dict[str, Any]:
        """Log in with the token, run all cells, wait, save, take a picture; the notebook's result.

        Raises `TimeoutError`, or `AssertionError` with what a cell raised.
        """
        browser.open(f"{self.url}/lab?token={self.token}")
        browser.open(f"{self.url}/lab/tree/{notebook}?reset")  # no token here: the browser is logged in
        try:
            end = time.monotonic() + timeout_s
            self._wait_for_kernel(notebook, end)
            choose(browser, "Run", "runmenu:run-all")
            return self._wait_for_result(browser, notebook, end)
        finally:
            browser.screenshot(picture)

    def _wait_for_kernel(self, notebook: str, end: float) -> None:
        """Until the notebook's kernel is there and has been idle for two seconds."""
        idle = 0
        while idle < 4:
            sessions = self.api("GET", "sessions")
            states = [one["kernel"]["execution_state"] for one in sessions if one["path"] == notebook]
            idle = idle + 1 if states == ["idle"] else 0
            if time.monotonic() > end:
                raise TimeoutError(f"{notebook}: its kernel is {states or 'not there'}, not idle")
            time.sleep(0.5)

    def _wait_for_result(self, browser: Browser, notebook: str, end: float) -> dict[str, Any]:
        while True:
            self._wait_for_kernel(notebook, end)
            choose(browser, "File", "docmanager:save")
            time.sleep(2)
            outputs = self._outputs(notebook)
            errors = [output["evalue"] for output in outputs if output["output_type"] == "error"]
            assert not errors, errors
            for output in outputs:
                if RESULT_MIME in output.get("data", {}):
                    found: dict[str, Any] = output["data"][RESULT_MIME]
                    return found
            if time.monotonic() > end:
                raise TimeoutError(f"{notebook} has no result in time: {outputs}")

    def _outputs(self, notebook: str) -> list[dict[str, Any]]:
        try:
            cells = self.api("GET", f"contents/{notebook}")["content"]["cells"]
        except requests.HTTPError:  # the server is writing it at this moment
            return []
        return [output for cell in cells for output in cell.get("outputs", [])]

    def close(self, notebook: str) -> None:
        """End its kernel, which gives the executors back, and delete it."""
        for session in self.api("GET", "sessions"):
            if session["path"] == notebook:
                self.api("DELETE", f"sessions/{session['id']}")
        self.api("DELETE", f"contents/{notebook}")
