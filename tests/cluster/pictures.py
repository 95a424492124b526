"""Takes the pictures of the README and docs: `python -m tests.cluster.pictures [NAME …] [--hosts FILE]`.

With --hosts they are taken of a running cluster: what its tasks say is kept in docs/pictures as JSON documents, and its
Jupyter is seen through a real browser. Without it those that are drawn of a document are drawn again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.builders.pictures import NOTEBOOK, PICTURES, SHOWN, drawn_status, drawn_words, page_of_verify, state_of
from tests.cluster.browser import Browser, browser
from tests.cluster.jdbc_tool import ask, driver
from tests.cluster.jupyter_page import Jupyter
from tests.paths import ROOT

MAKE_TRIPS = """\
CREATE TABLE picture_trips AS
SELECT date_add(DATE'2026-01-01', CAST(id % 90 AS INT)) AS day, CAST(id % 7 AS INT) AS driver,
  CAST(5 + id % 37 AS DECIMAL(6, 1)) AS km FROM range(200000)
"""
ASK_TRIPS = "select driver, count(*) as trips, sum(km) as km from picture_trips group by driver order by driver"
"""The table is removed afterwards."""
SCROLL = """
const plots = document.querySelectorAll(".jp-RenderedImage img");
if (plots.length) {
  plots[plots.length - 1].scrollIntoView({block: "end"});
  return true;
}
document.querySelector(".jp-WindowedPanel-outer").scrollBy(0, -300);
return false;
"""


def command(hosts: str, *words: str) -> list[str]:
    """A task's."""
    return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, "--hosts", hosts]


def said(hosts: str, *words: str) -> str:
    """What a task prints."""
    done = subprocess.run(command(hosts, *words), stdout=subprocess.PIPE, text=True, timeout=1800, check=True)
    return done.stdout


def asked(hosts: str, *words: str) -> dict[str, Any]:
    """A task's JSON document."""
    found: dict[str, Any] = json.loads(said(hosts, *words, "--json"))
    return found


def take_status(hosts: str | None) -> None:
    if hosts:
        keep("status", asked(hosts, "status"))
    (PICTURES / "status.svg").write_text(drawn_status(), encoding="utf-8")


def take_verify(hosts: str | None) -> None:
    if hosts:
        keep("verify", asked(hosts, "verify"))
    with tempfile.TemporaryDirectory() as folder, browser((1000, 1250)) as window:
        file = Path(folder) / "verify.html"
        file.write_text(page_of_verify(), encoding="utf-8")
        window.open(file.as_uri())
        window.screenshot(PICTURES / "verify.png")


def take_jupyter(hosts: str | None) -> None:
    if not hosts:
        raise SystemExit("jupyter: the picture is of a running cluster: --hosts FILE")
    jupyter = Jupyter.of(str(asked(hosts, "token")["url"]))
    copy = "my-primes.ipynb"  # it is removed afterwards
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    jupyter.api("PUT", f"contents/{copy}", {"type": "notebook", "format": "json", "content": content})
    try:
        with browser((1300, 1000)) as window:
            jupyter.run_all(window, copy, PICTURES / "jupyter.png", timeout_s=300)
            to_the_plot(window)
            window.screenshot(PICTURES / "jupyter.png")
    finally:
        jupyter.close(copy)


@contextlib.contextmanager
def trips(hosts: str) -> Iterator[None]:
    """A table for as long as pictures are taken of it."""
    said(hosts, "sql", "-e", MAKE_TRIPS)
    try:
        yield
    finally:
        said(hosts, "sql", "-e", "DROP TABLE picture_trips")


def take_sql(hosts: str | None) -> None:
    if hosts:
        with trips(hosts):
            words = ("show tables like 'picture*'", "describe picture_trips", ASK_TRIPS)
            keep("sql", {"said": [[f'invoke sql -e "{one}"', said(hosts, "sql", "-e", one)] for one in words]})
    (PICTURES / "sql.svg").write_text(drawn_words("sql"), encoding="utf-8")


def take_jdbc(hosts: str | None) -> None:
    if hosts:
        with trips(hosts), subprocess.Popen(command(hosts, "jdbc"), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                lines = [process.stdout.readline().rstrip() for _ in range(4)]
                door = {"url": lines[0].split()[1], "user": lines[1].split()[1]}
                password = lines[2].split()[1]
                jar = driver()
                if isinstance(jar, str):
                    raise SystemExit(f"jdbc: {jar}")
                code, rows, errors = ask(jar, door, password, "picture_trips", ASK_TRIPS)
            finally:
                process.send_signal(signal.SIGINT)
        if code:
            raise SystemExit(f"jdbc: {errors}")
        lines[2] = "password  …"
        shown = f"java -cp {jar.name} JdbcClient.java {door['url']} spark … default picture_trips …"
        keep("jdbc", {"said": [["invoke jdbc", "\n".join(lines)], [shown, "\n".join(rows).expandtabs(12)]]})
    (PICTURES / "jdbc.svg").write_text(drawn_words("jdbc"), encoding="utf-8")


def to_the_plot(window: Browser, timeout_s: float = 60) -> None:
    """Scroll up from the notebook's end until its last picture is seen; the page draws what is in sight only."""
    end = time.monotonic() + timeout_s
    while not window.run(SCROLL):
        if time.monotonic() > end:
            raise TimeoutError("the notebook shows no plot")
        time.sleep(0.5)
    time.sleep(2)


TAKEN: dict[str, tuple[str, Callable[[str | None], None]]] = {
    "status": ("status.svg", take_status),
    "verify": ("verify.png", take_verify),
    "jupyter": ("jupyter.png", take_jupyter),
    "sql": ("sql.svg", take_sql),
    "jdbc": ("jdbc.svg", take_jdbc),
}


def keep(name: str, document: dict[str, Any]) -> None:
    """A task's document beside the pictures."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TAKEN, []], help="which; all unless given")
    parser.add_argument("--hosts", help="cluster file of a running cluster")
    given = parser.parse_args()
    for name in given.names or TAKEN:
        file, take = TAKEN[name]
        take(given.hosts)
        shown = json.loads(SHOWN.read_text(encoding="utf-8")) if SHOWN.exists() else {}
        SHOWN.write_text(json.dumps(shown | {file: state_of(file)}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"docs/pictures/{file}")


if __name__ == "__main__":
    main()
