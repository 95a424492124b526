"""invoke jdbc: the Connect server's JDBC side through a tunnel that this command holds."""

from __future__ import annotations

from sparkqfs.jobs.programs import server
from sparkqfs.jobs.programs.connect import Show, hold, planned, tunnel_to
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.server import JDBC_PORT, JDBC_USER, Wishes, jdbc_url
from sparkqfs.plan.steps import JobResult


def jdbc(session: Session, port: int, show: Show) -> JobResult:
    """Hold the tunnel until Ctrl-C; `show` gets what a JDBC tool is told, as soon as it is true. Port 0 is any."""
    if session.dry_run:
        return planned(session, "jdbc")
    found = server.provide(session, Wishes())
    there = server.jdbc_port(session, found)
    with tunnel_to(session, found, there, port, JDBC_PORT) as tunnel:
        show(opened(found, tunnel.port))
        return hold(session, found, tunnel.port, "jdbc")


def opened(found: server.Server, port: int) -> JobResult:
    """What is said when the tunnel is open. The token is in it: this is what `jdbc` prints."""
    url, token = jdbc_url(port), found.ready.token
    lines = (f"URL       {url}", f"user      {JDBC_USER}", f"password  {token}", "driver    Apache Hive (hive-jdbc)")
    document: dict[str, object] = {
        "schema": 1,
        "url": url,
        "port": port,
        "user": JDBC_USER,
        "password": token,
        "application": found.ready.app_id,
        "started": found.was_started,
        "idle_s": found.ready.idle_s,
    }
    return JobResult(task="jdbc", text="\n".join(lines), document=document)
