"""A submission's name, and the service whose container its driver is made like."""

from __future__ import annotations

from typing import Any

ID = "submit-20260101120000-7f3a"


JUPYTER: dict[str, Any] = {
    "Spec": {
        "Name": "spark_jupyter-server",
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "192.168.1.11:5000/spark/jupyter-server@sha256:0",
                "Labels": {"com.docker.stack.namespace": "spark"},
                "Env": ["SPARKQFS_STORAGE=qfs"],
                "Mounts": [{"Source": "/mnt/data/spark", "Target": "/data/spark"}],
                "Configs": [{"ConfigName": "c"}],
                "Secrets": [
                    {"File": {"Name": "spark-secret"}, "SecretName": "s"},
                    {"File": {"Name": "jupyter-token"}, "SecretName": "t"},
                ],
                "Healthcheck": {"Test": ["CMD", "health"]},
            },
            "RestartPolicy": {"Condition": "any"},
            "Networks": [{"Target": "network-id", "Aliases": ["jupyter-server"]}],
        },
    }
}


APP = "app-20260101120100-0000"


PLACE = f"/data/spark/apps/{ID}/files"
