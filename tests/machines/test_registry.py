"""The script that starts the registry, with a program in docker's place."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sparkqfs.config.model import LogsConfig
from sparkqfs.jobs.cluster import swarm
from sparkqfs.plan.stack import log_arguments
from tests.builders.clusters import a_cluster


def test_the_registry_gets_the_limit(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" != run ] || printf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    (tmp_path / "chown").write_text("#!/bin/sh\n")
    (tmp_path / "chown").chmod(0o755)
    logs = LogsConfig(container_mib=20, program_mib=8, days=3)
    words = ["name", "image", "digest", "5000", str(tmp_path), "1", "1", *log_arguments(a_cluster(logs=logs))]
    script = swarm.REGISTRY_SCRIPT.replace(">/dev/null\n", "\n")
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        input="\n\n",
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.split()
    assert said[said.index("--log-driver") + 1] == "json-file"
    assert {"max-size=4096k", "max-file=5"} <= set(said)
    assert said.index("--log-opt") < said.index("image")
