"""invoke open: a page of the cluster in the browser, through a tunnel that this command holds."""

from __future__ import annotations

import contextlib
import time
from typing import NoReturn

from sparkqfs import topology
from sparkqfs.clients import browser
from sparkqfs.clients.ssh import FORWARDING_HINT, is_forbidden
from sparkqfs.clients.tunnel import CONNECT_S, Way, usual_or_any
from sparkqfs.errors import ClusterError, Problem, UnreachableError
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.programs.compute import with_token
from sparkqfs.jobs.programs.connect import PATIENCE_S, Complaints, Show, drop_if_dead
from sparkqfs.jobs.programs.patience import Patience
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.doors import Page, page_of
from sparkqfs.plan.steps import JobResult, Outcome

LOOK_S = 10.0
"""Between two looks at where the service runs."""


class Door:
    """The way to a page, wherever its service runs at the moment."""

    def __init__(self, session: Session, page: Page) -> None:
        self._session, self.page = session, page
        self.host = ""

    def look(self) -> bool:
        """Ask Swarm where the service runs; False where it does not. Raises `ClusterError`."""
        tasks = gather_tasks(self._session.config, self._session.clients)
        self.host = status.place_of(self._session, tasks, self.page.service) or ""
        return bool(self.host)

    def way(self) -> Way:
        """How the manager connects to it. The way raises `OSError` or `ClusterError`."""
        manager = self._session.clients.manager
        return lambda: manager.tcp_channel(self._place(), self.page.port, CONNECT_S)

    def _place(self) -> str:
        if not self.host:
            raise ConnectionError(f"{self.page.service} is not running")
        return self.host

    def check(self) -> None:
        """Raises `ClusterError` with what helps where the page cannot be had."""
        if not self.look():
            hint = "`invoke status` says why; `invoke deploy` starts it"
            raise ClusterError(Problem(what=f"{self.page.service} is not running", hint=hint))
        try:
            self.way()().close()
        except OSError as error:
            hint = FORWARDING_HINT if is_forbidden(error) else f"`invoke logs --service {self.page.service}`"
            what = f"the page of {self.page.service} does not answer: {error}"
            raise ClusterError(Problem(node=self._session.config.manager.name, what=what, hint=hint)) from error


def open_page(session: Session, word: str, *, port: int, with_browser: bool, show: Show) -> NoReturn:
    """Hold the tunnel until Ctrl-C; `show` gets the address as soon as it is true. Port 0 is the usual one, else any.

    Raises `ConfigError` for a page that this cluster does not have, `ClusterError` where it cannot be had, and
    `UnreachableError` when the manager stays away.
    """
    door = Door(session, page_of(session.config, word))
    door.check()
    token = session.secrets()["jupyter_token"] if door.page.service == topology.JUPYTER_SERVER else None
    with usual_or_any(door.way(), port, door.page.port, failed=Complaints(session).tell) as tunnel:
        base = f"http://localhost:{tunnel.port}"
        url = base if token is None else with_token(base, token)
        is_shown = with_browser and browser.has_screen()
        show(opened(door.page, url, tunnel.port, is_shown))
        session.on_event(f"localhost:{tunnel.port} is open until Ctrl-C")
        with _address(url, token is not None) if is_shown else contextlib.nullcontext(url) as address:
            if with_browser and not (is_shown and browser.show(address)):
                session.on_event("there is no browser here: open the address in one of yours")
            hold(session, door)


def planned(session: Session, word: str) -> JobResult:
    """A dry run. Raises `ConfigError` for a page that this cluster does not have."""
    page = page_of(session.config, word)
    changes = (f"a tunnel to {page.service}, port {page.port}",)
    return JobResult(task="open", outcomes=(Outcome(subject=page.name, state="planned", changes=changes),))


def _address(url: str, is_secret: bool) -> contextlib.AbstractContextManager[str]:
    return browser.private_address(url) if is_secret else contextlib.nullcontext(url)


def opened(page: Page, url: str, port: int, is_shown: bool) -> JobResult:
    """What is said when the tunnel is open. Jupyter's token is in it: this is what `open` prints."""
    document: dict[str, object] = {
        "schema": 1,
        "page": page.name,
        "service": page.service,
        "url": url,
        "port": port,
        "browser": is_shown,
    }
    return JobResult(task="open", text=url, document=document)


def hold(session: Session, door: Door) -> NoReturn:
    """Follows the service and says when it comes and goes. Raises `UnreachableError` when the manager stays away."""
    was_there = True
    patience = Patience(session, PATIENCE_S)
    while True:
        time.sleep(LOOK_S)
        try:
            is_there = door.look()
        except ClusterError as error:
            if patience.is_over():
                raise UnreachableError(*error.problems) from error
            drop_if_dead(session)
            continue
        patience.renew()
        if is_there != was_there:
            again = "runs again" if is_there else "is not running; `invoke status` says why. It is waited for"
            session.on_event(f"{door.page.service} {again}")
        was_there = is_there
