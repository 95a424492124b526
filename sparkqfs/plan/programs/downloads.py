"""What drivers need for downloading packages: the build's proxy and certificates, as a settings file of the stack."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from sparkqfs.config.model import ClusterConfig

FILE = "downloads.json"
"""Read by runtime/sparkqfs_runtime/supervise/downloads.py."""


def are_special(config: ClusterConfig) -> bool:
    """Whether downloads need anything."""
    return bool(config.build.proxy or config.build.ca_certificates)


def settings_file(config: ClusterConfig, certificates: str) -> str:
    """Content of FILE. `certificates` are those of `build.ca_certificates`, as PEM.

    A user name and a password for the proxy are left out: they are secret, and Java takes none for a proxy.
    """
    proxy = None
    if config.build.proxy:
        found = urlsplit(config.build.proxy)
        proxy = {"host": found.hostname, "port": found.port or (443 if found.scheme == "https" else 80)}
    return json.dumps({"proxy": proxy, "certificates": certificates}, indent=1) + "\n"
