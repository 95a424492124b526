"""The Quantcast File System: metaserver on the manager, a chunkserver in every worker-node container."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.facts.pages import StorageFact, parse_qfs
from sparkqfs.plan.catalogue import WAREHOUSE
from sparkqfs.plan.storage.health import HealthFact, MemoryFact, parse_qfs_health
from sparkqfs.plan.storage.seam import (
    ONE_PLACE_A_PARTITION,
    SHARED_PREFIXES,
    Backend,
    Form,
    Master,
    Opening,
    Reading,
    Words,
    servers_unready,
)
from sparkqfs.remote import script

ROOT = f"qfs://{topology.QFS_MASTER}:{topology.META_CLIENT_PORT}"
REED_SOLOMON = "1,6,3,65536,2"
"""createParams: copies, data and recovery stripes, bytes of a stripe, the striper's number for Reed-Solomon."""
REED_SOLOMON_NODES = 9
AT_ONCE_BYTES_S = 200_000_000
"""A scrub that somebody waits for, in bytes a second."""
FSCK = f"qfsfsck -m 127.0.0.1 -p {topology.META_CLIENT_PORT} -a 0"
"""In the metaserver's container."""
CLIENT_ENVIRONMENT = {
    "QFS_CLIENT_CONFIG": "client.useOsResolver=1",
    "QFS_CLIENT_DEFAULT_FATTR_REVALIDATE_TIME": "-1",
    "QFS_CLIENT_LOG_LEVEL": "NOTICE",
}
"""Of every program that uses QFS's client.

The OS resolver, as QFS's own cannot live with Docker's. And no memory of directories: by default a client goes on for
30 seconds with what it knows of a path; an executor that knows a `_temporary` which the driver has removed and made
again cannot write into it. And no line in every program's output for each file system that it opens. Source: QFS
2.2.8, src/cc/libclient/KfsClient.cc.
"""
INIT_FILES = (
    r"-type f \( -name .dirtest -o -name ckpt.lock -o -name chkpt.0.0.0 -o -name 'chkpt.0.0.0*.tmp'"
    r" -o -name log.0.0.0.0 -size -129c \)"
)
"""Words for find(1), true for what `metaserver -c` writes before its last step, which makes `latest`.

The names end in the sequence number of an empty file system. The log has 109 bytes then; the first operation in it
makes them more than 128. Source: QFS 2.2.8, traced with strace.
"""
METADATA_SCRIPT = script("qfs_metadata", INIT_FILES=INIT_FILES)
UNDO_SCRIPT = script("qfs_undo", INIT_FILES=INIT_FILES)


class Qfs(Backend):
    """Property names and their reasons: QFS 2.2.8, conf/MetaServer.prp and conf/ChunkServer.prp."""

    kind = "qfs"
    words = Words(storage="QFS", master="metaserver", servers="chunkservers", blocks="chunks")
    master = Master(
        name=topology.QFS_MASTER,
        ui_port=topology.QFS_UI_PORT,
        ui_setting="qfs_ui",
        listens=(topology.META_CLIENT_PORT, topology.META_CHUNK_PORT),
        status_path="/query/meta",
        configs=("MetaServer.prp", "webui.conf"),
        secrets=("cluster-key", topology.METADATA_SECRET),
    )
    layout = StorageLayout(
        top="qfs",
        blocks="chunk",
        block_files="! -name 0-fsid-*",
        block_number="^[0-9]+[.][0-9]+",
        metadata=("checkpoint", "logs"),
        metadata_script=METADATA_SCRIPT,
        undo_script=UNDO_SCRIPT,
    )
    parts = "qfs-tarball"
    init_task = "init-qfs"
    probe_host = topology.QFS_MASTER
    server_listens = (topology.CHUNK_PORT,)
    server_mib = 320
    master_mib = 320
    worker_configs = ("ChunkServer.prp",)
    worker_secrets = ("cluster-key",)
    client_configs = ()
    check_port = topology.META_CLIENT_PORT
    server_process = "/bin/chunkserver"
    master_process = "/bin/metaserver"
    scrub_state = "/data/spark/scrub.json"
    opening = Opening(share=4)
    stripes = ((6, 3),)
    remote_reads = "QFS's client reads a random copy"

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """Chunks on every disk; the logs directory on the first."""
        return ("qfs", "qfs/chunk", "qfs/logs") if first else ("qfs", "qfs/chunk")

    def manager_directories(self) -> tuple[str, ...]:
        """The metaserver's checkpoints; its transaction log is in qfs/logs."""
        return ("qfs/checkpoint",)

    def scrub_now(self, address: str, state: str) -> tuple[str, ...]:
        words = (topology.QFS_MASTER, str(topology.META_CLIENT_PORT), address, "now", str(AT_ONCE_BYTES_S), state)
        return ("sh", "-c", 'exec /opt/sparkqfs/bin/scrub "$@" $SPARKQFS_CHUNK_DIRS', "sh", *words)

    def root_uri(self, config: ClusterConfig) -> str:
        """By service name: the address changes with each reschedule."""
        return ROOT

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """Our classes over upstream's: local chunks from the disk, and as many copies as createParams says."""
        return {
            "spark.hadoop.fs.qfs.impl": "sparkqfs.fs.LocalReadFileSystem",
            "spark.hadoop.fs.AbstractFileSystem.qfs.impl": "sparkqfs.fs.LocalReadFs",
            "spark.hadoop.fs.qfs.metaServerHost": topology.QFS_MASTER,
            "spark.hadoop.fs.qfs.metaServerPort": str(topology.META_CLIENT_PORT),
            "spark.hadoop.fs.qfs.createParams": str(config.storage.replication),
            "spark.hadoop.fs.defaultFS": ROOT,
            "spark.sql.hive.metastore.sharedPrefixes": f"{SHARED_PREFIXES},com.quantcast.qfs,sparkqfs.fs",
            **{f"spark.executorEnv.{name}": value for name, value in CLIENT_ENVIRONMENT.items()},
            **ONE_PLACE_A_PARTITION,
        }

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """Values for stack/*.prp and the status server's configuration."""
        return {
            "MetaServer.prp": {
                "root_uid": str(config.owner.uid),
                "root_gid": str(config.owner.gid),
                "min_chunkservers": str(max(1, (len(config.nodes) + 1) // 2)),
                "max_replicas": str(max(3, config.storage.replication + 1)),
            },
            "ChunkServer.prp": {},
            "webui.conf": {},
        }

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """What QFS's client reads from it, everywhere."""
        dirs = ["/data/qfs/chunk", *(f"/data/qfs{number}/chunk" for number in range(1, node_disks))]
        return {
            **CLIENT_ENVIRONMENT,
            "SPARKQFS_REPLICATION": str(config.storage.replication),
            "SPARKQFS_CHUNK_DIRS": " ".join(dirs),
        }

    def worker_environment(self, config: ClusterConfig) -> dict[str, str]:
        """When and how fast chunk files are read: runtime/sparkqfs_runtime/scrub."""
        scrub = config.storage.scrub
        return {"SPARKQFS_SCRUB": f"{scrub.hour} {scrub.rate_mib << 20}"} if scrub.rate_mib else {}

    def status(self, answer: object) -> StorageFact:
        """The status server's `/query/meta`."""
        return parse_qfs(answer)

    def health(self, answer: object, memory: MemoryFact | str) -> HealthFact:
        """Files from what the container remembers of fsck, the rest from `/query/meta`."""
        return parse_qfs_health(answer, memory)

    def which_lost(self) -> str:
        """fsck's list: state 1, size, copies, ..., path. What was removed is in /dumpster for some minutes."""
        return f"{FSCK} | grep '^1 [0-9]' | grep -v ' /dumpster/'"

    def which_short(self) -> str:
        """State 2 is lost if one server goes down: with two copies asked for, one is left."""
        return f"{FSCK} | grep -E '^[12] [0-9]+ ([2-9]|[1-9][0-9]) '"

    def master_environment(self, config: ClusterConfig) -> dict[str, str]:
        """How often the files are checked: runtime/sparkqfs_runtime/pages/missing_data.py."""
        return {"SPARKQFS_CHECK_S": f"{config.storage.qfs.check_s:g}"}

    def unready(self, config: ClusterConfig, fact: StorageFact | None, hosts: tuple[str, ...]) -> str | None:
        """Every chunkserver up, out of recovery, under the workers' addresses."""
        return servers_unready(self.words, config, fact, hosts)

    def forms(self, config: ClusterConfig) -> tuple[Form, ...]:
        """One to three copies, each read by our reader and by upstream's; Reed-Solomon where each part has a node."""
        readings = (
            Reading(suffix="", text="our reader", settings={"fs.qfs.localRead": "true"}),
            Reading(suffix="-upstream", text="upstream's reader", settings={"fs.qfs.localRead": "false"}),
        )
        found = [
            Form(
                name=f"qfs-{copies}",
                text=f"QFS, replication {copies}",
                root=ROOT,
                settings={"fs.qfs.createParams": str(copies)},
                space=copies,
                readings=readings,
            )
            for copies in range(1, min(3, len(config.nodes)) + 1)
        ]
        if len(config.nodes) >= REED_SOLOMON_NODES:
            found.append(
                Form(
                    name="qfs-rs-6-3",
                    text="QFS, Reed-Solomon 6+3",
                    root=ROOT,
                    settings={"fs.qfs.createParams": REED_SOLOMON},
                    space=1.5,
                    readings=(Reading(suffix="", text="upstream's reader", settings={"fs.qfs.localRead": "true"}),),
                )
            )
        return tuple(found)

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """User directory, /tmp and the event log directory, owned by the service user."""
        user = config.owner.user
        return topology.QFS_MASTER, tuple(
            f"qfs -test -d {path} 2>/dev/null || "
            f"{{ qfs -mkdir {path} && qfs -chmod {mode} {path} && echo made {path}; }}"
            for path, mode in (
                ("/user", "0755"),
                (f"/user/{user}", "0750"),
                ("/tmp", "1777"),
                ("/history", "0755"),
                ("/history/spark-events", "0770"),
                (WAREHOUSE, "0770"),
            )
        )
