"""JSON from the Spark and storage web pages, through the manager's SSH connection."""

from __future__ import annotations

from typing import Any

import requests

from sparkqfs.clients.channel import ChannelAdapter
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.shortening import shortened


class WebError(Exception):
    """A page that did not answer, or not with JSON. The text says why."""


def get_json(via: NodeClient, host: str, port: int, path: str, *, timeout_s: float = 5.0) -> Any:
    """GET `http://host:port/path` from the machine `via`; the parsed JSON. Raises `WebError`.

    The request travels inside the SSH connection: it works behind jump hosts and needs no open port.
    """
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", ChannelAdapter(lambda: via.tcp_channel(host, port, timeout_s)))
    url = f"http://{host}:{port}{path}"
    try:
        response = session.get(url, timeout=timeout_s)
        response.raise_for_status()
        return response.json()
    except requests.exceptions.JSONDecodeError as error:
        raise WebError(f"{url} did not answer with JSON") from error
    except (requests.exceptions.RequestException, OSError, EOFError) as error:
        raise WebError(f"{url}: {_cause(error)}") from error
    finally:
        session.close()


def _cause(error: BaseException) -> str:
    text = str(error)
    if "Administratively prohibited" in text:
        return "sshd there forbids TCP forwarding (AllowTcpForwarding)"
    if "refused" in text or "Connect failed" in text:
        return "connection refused"
    if "timed out" in text or "TimeoutError" in text or "Timeout" in text:
        return "no answer in time"
    return shortened(text.splitlines()[0], 200) if text else type(error).__name__
