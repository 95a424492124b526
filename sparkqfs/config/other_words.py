"""What people call settings elsewhere, and what the same is called in a cluster file."""

from __future__ import annotations

from collections.abc import Mapping

from sparkqfs import topology

NODE: dict[str, str] = {
    **dict.fromkeys(("ansible_host", "ansible_ssh_host", "host", "hostname", "ip"), "address"),
    **dict.fromkeys(("ansible_user", "ansible_ssh_user", "username", "ssh_user", "remote_user", "login"), "user"),
    **dict.fromkeys(("ansible_port", "ansible_ssh_port", "ssh_port"), "port"),
    **dict.fromkeys(("ansible_ssh_private_key_file", "identity_file", "identityfile", "ssh_key", "key_file"), "key"),
    **dict.fromkeys(("cpus", "cpu", "vcpus", "cpu_cores"), "cores"),
    **dict.fromkeys(("mem", "ram"), "memory"),
    **dict.fromkeys(("master", "is_manager", "is_master", "leader"), "manager"),
    **dict.fromkeys(("data_dirs", "disk", "disks", "data"), "data_dir"),
}
"""Keys of a node."""
_NODES = "write it as `nodes`"
_MEMORY = "`memory` of a node, or of `defaults`, is what its executors share"
_CORES = "`cores` of a node, or of `defaults`, is what its executors share"
_SPARK = f"leave it out: Spark is {topology.SPARK_VERSION}, which comes with sparkqfs"
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "": {
        **dict.fromkeys(("hosts", "machines", "servers", "instances", "workers", "slaves", "node"), _NODES),
        **dict.fromkeys(("name", "cluster_name"), "write it as `cluster`"),
        **dict.fromkeys(("replication", "copies", "replicas"), "write it as `storage: {replication: …}`"),
        "kind": "write it as `storage: {kind: …}`",
        "executor_memory": _MEMORY,
        "executor_cores": _CORES,
        **dict.fromkeys(("delta", "spark_conf"), "it belongs below `spark`"),
        "spark_version": _SPARK,
    },
    "spark": {
        **dict.fromkeys(("executor_memory", "executor_memory_mib", "worker_memory", "memory"), _MEMORY),
        **dict.fromkeys(("executor_cores", "worker_cores", "cores"), _CORES),
        **dict.fromkeys(("executors", "executor_instances", "num_executors"), "write it as `executors_per_worker`"),
        **dict.fromkeys(("config", "settings", "properties", "defaults"), "write it as `conf`"),
        **dict.fromkeys(("version", "image"), _SPARK),
    },
    "storage": {
        "type": "write it as `kind`",
        **dict.fromkeys(("path", "mount"), "write it as `shared: {path: …}`"),
        **dict.fromkeys(("replicas", "replication_factor"), "write it as `replication`"),
        "version": "`qfs: {version: …}` is the version of QFS; others come with sparkqfs",
    },
    "ssh": {
        **dict.fromkeys(("private_key", "identity_file", "key_file"), "write it as `key`"),
        "username": "write it as `user`",
    },
}
"""Section → key of others → what to do."""
STORAGES: Mapping[str, str] = {
    **dict.fromkeys(("nfs", "nfs4", "glusterfs", "gluster", "ceph", "cephfs", "lustre", "smb", "nas"), "shared"),
    **dict.fromkeys(("local", "file", "directory"), "shared"),
    "hadoop": "hdfs",
}
"""Kinds of storage by the names of what they are made of."""


def elsewhere(section: str) -> Mapping[str, str]:
    """Keys of others in a section, and what to do about each."""
    return _ELSEWHERE.get(section, {})
