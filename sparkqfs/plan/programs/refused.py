"""What of spark-submit cannot be on a cluster like this one, and the way to go."""

from __future__ import annotations

ALWAYS_OURS = "programs always run on this cluster's master; another cluster is chosen with `--hosts FILE`"
DRIVER_PLACE = "the driver always runs on the manager, with its output here; `--detach` leaves it running"
NO_KERBEROS = "the cluster has no Kerberos: programs run as the owner of hosts.yml and need no ticket"
NO_QUEUES = "there are no queues: applications share the cores, `--cores` says how many"
REFUSED_FLAGS = {
    "master": ALWAYS_OURS,
    "remote": ALWAYS_OURS,
    "deploy-mode": DRIVER_PLACE,
    "proxy-user": "programs always run as the owner of hosts.yml (`owner.user`), whoever sends them",
    "keytab": NO_KERBEROS,
    "principal": NO_KERBEROS,
    "queue": NO_QUEUES,
    "supervise": "`--restart` runs a program again when it fails and when its machine was down",
    "kill": "`invoke kill ID` ends an application",
    "status": "`invoke apps` shows what runs and how it ended, `invoke app.logs ID` what it wrote",
    "driver-cores": "a driver has no cores of its own: it shares the manager's; leave the flag out",
    "load-spark-defaults": "the cluster's settings always count, and --properties-file takes precedence; "
    "leave the flag out",
}
"""Flags of spark-submit."""
REFUSED_SETTINGS = {
    "spark.master": ALWAYS_OURS,
    "spark.remote": ALWAYS_OURS,
    "spark.submit.deployMode": DRIVER_PLACE,
    "spark.driver.supervise": REFUSED_FLAGS["supervise"],
    "spark.yarn.queue": NO_QUEUES,
    "spark.kerberos.keytab": NO_KERBEROS,
    "spark.kerberos.principal": NO_KERBEROS,
}
"""The same as settings."""
