"""The Hadoop Distributed File System: namenode on the manager, a datanode in every worker-node container."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.facts.pages import StorageFact, parse_hdfs
from sparkqfs.plan.catalogue import WAREHOUSE
from sparkqfs.plan.storage.health import HealthFact, MemoryFact, parse_hdfs_health
from sparkqfs.plan.storage.seam import (
    ONE_PLACE_A_PARTITION,
    SHARED_PREFIXES,
    Backend,
    Form,
    Master,
    Opening,
    Words,
    servers_unready,
)
from sparkqfs.remote import script

ROOT = f"hdfs://{topology.HDFS_NAMENODE}:{topology.NAMENODE_PORT}"
ZERO = "0000000000000000000"
INIT_FILES = (
    r"-type f \( -name in_use.lock -o -name VERSION -o -name seen_txid -o -name seen_txid.tmp"
    rf" -o -name fsimage.ckpt_{ZERO} -o -name fsimage_{ZERO}"
    rf" -o -name fsimage_{ZERO}.md5 -o -name fsimage_{ZERO}.md5.tmp \)"
)
"""Words for find(1), true for what `namenode -format` writes; its last step gives fsimage_000… its name.

Whatever else there is was written by a namenode that ran: that begins with an `edits_` file and another seen_txid.
Source: Hadoop 3.5.0, traced with strace.
"""
METADATA_SCRIPT = script("hdfs_metadata", INIT_FILES=INIT_FILES, ZERO=ZERO)
"""Files of a name directory: Hadoop 3, NNStorage and Storage (fsimage_*, edits_*, VERSION)."""
UNDO_SCRIPT = script("hdfs_undo", INIT_FILES=INIT_FILES)


class Hdfs(Backend):
    """Property names: Hadoop 3, hdfs-default.xml and core-default.xml."""

    kind = "hdfs"
    words = Words(storage="HDFS", master="namenode", servers="datanodes", blocks="blocks", counted_too="directories")
    master = Master(
        name=topology.HDFS_NAMENODE,
        ui_port=topology.HDFS_UI_PORT,
        ui_setting="hdfs_ui",
        listens=(topology.NAMENODE_PORT, topology.NAMENODE_HTTP_PORT),
        status_path="/jmx?qry=Hadoop:service=NameNode,name=*",
        configs=("core-site.xml", "hdfs-site.xml"),
        secrets=(topology.METADATA_SECRET,),
    )
    layout = StorageLayout(
        top="hdfs",
        blocks="data",
        block_files="-name blk_* ! -name *.meta",
        block_number="^blk_-?[0-9]+",
        metadata=("name",),
        metadata_script=METADATA_SCRIPT,
        undo_script=UNDO_SCRIPT,
    )
    parts = "hadoop-jars"
    init_task = "init-storage"
    probe_host = topology.HDFS_NAMENODE
    waits_for_older = "generation stamps in future"
    begin_without = ("/opt/sparkqfs/bin/hdfs", "dfsadmin", "-safemode", "forceExit")
    # Of a first report the namenode leaves alone what it has no name for: until the next one, six hours later.
    report_blocks = (
        r"names=$(hdfs dfsadmin -report -live | sed -n 's/^Name: \([^ ]*\):[0-9]*.*/\1/p')"
        '\n[ -n "$names" ]\n'
        f"""printf '%s:{topology.DATANODE_IPC_PORT}\\n' $names | xargs -n 1 -P 4 hdfs dfsadmin -triggerBlockReport"""
    )
    server_process = "datanode.DataNode"
    master_process = "namenode.NameNode"
    server_listens = (topology.DATANODE_PORT, topology.DATANODE_IPC_PORT, topology.DATANODE_HTTP_PORT)
    server_mib = 512
    master_mib = 768
    worker_configs = ("core-site.xml", "hdfs-site.xml")
    worker_secrets = ()
    client_configs = ("core-site.xml", "hdfs-site.xml")
    check_port = topology.NAMENODE_HTTP_PORT
    opening = Opening(share=10, outside_mib=320)

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """Blocks on every disk."""
        return ("hdfs", "hdfs/data")

    def manager_directories(self) -> tuple[str, ...]:
        """The namenode's images and edits."""
        return ("hdfs/name",)

    def root_uri(self, config: ClusterConfig) -> str:
        """By service name: the address changes with each reschedule."""
        return ROOT

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """Spark's own Hadoop client, and no site file on its class path; our class over its own keeps reads local after
        workers came back under other addresses. A job outlives a restart of the namenode."""
        return {
            "spark.hadoop.fs.hdfs.impl": "sparkqfs.hdfs.CurrentHostsFileSystem",
            "spark.sql.hive.metastore.sharedPrefixes": f"{SHARED_PREFIXES},sparkqfs.hdfs",
            "spark.hadoop.fs.defaultFS": ROOT,
            "spark.hadoop.dfs.replication": str(config.storage.replication),
            "spark.hadoop.dfs.client.retry.policy.enabled": "true",
            "spark.hadoop.dfs.client.retry.policy.spec": "2000,30,10000,6",
            "spark.hadoop.ipc.client.connect.timeout": "5000",
            **ONE_PLACE_A_PARTITION,
        }

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """Values for stack/core-site.xml and stack/hdfs-site.xml."""
        return {
            "core-site.xml": {"root": ROOT},
            "hdfs-site.xml": {
                "replication": str(config.storage.replication),
                "min_datanodes": str(max(1, (len(config.nodes) + 1) // 2)),
                "scan_bytes": str(config.storage.scrub.rate_mib << 20),
            },
        }

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """Where the blocks are."""
        dirs = ["/data/hdfs/data", *(f"/data/hdfs{number}/data" for number in range(1, node_disks))]
        return {"SPARKQFS_REPLICATION": str(config.storage.replication), "SPARKQFS_DATA_DIRS": " ".join(dirs)}

    def status(self, answer: object) -> StorageFact:
        """The namenode's JMX beans."""
        return parse_hdfs(answer)

    def health(self, answer: object, memory: MemoryFact | str) -> HealthFact:
        """The counts of the beans, the pace from what the container remembers."""
        return parse_hdfs_health(answer, memory)

    def which_lost(self) -> str:
        """Blocks and paths."""
        return "hdfs fsck / -list-corruptfileblocks"

    def which_short(self) -> str:
        """One line a block, its path first."""
        return "hdfs fsck / | grep 'Under replicated'"

    def unready(self, config: ClusterConfig, fact: StorageFact | None, hosts: tuple[str, ...]) -> str | None:
        """Every datanode up, out of safe mode, under the workers' addresses."""
        return servers_unready(self.words, config, fact, hosts)

    def forms(self, config: ClusterConfig) -> tuple[Form, ...]:
        """One to three copies."""
        return tuple(
            Form(
                name=f"hdfs-{copies}",
                text=f"HDFS, replication {copies}",
                root=ROOT,
                settings={"dfs.replication": str(copies)},
                space=copies,
            )
            for copies in range(1, min(3, len(config.nodes)) + 1)
        )

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """As on QFS, with as few starts of a JVM as it takes: one where nothing is missing."""
        user = config.owner.user
        wanted = {
            "/user": "0755",
            f"/user/{user}": "0750",
            "/tmp": "1777",
            "/history": "0755",
            "/history/spark-events": "0770",
            WAREHOUSE: "0770",
        }
        lines = [
            f"have=\" $(hdfs dfs -ls -d {' '.join(wanted)} 2>/dev/null | awk '/^d/ {{print $NF}}' | tr '\\n' ' ') \"",
            "new=",
            f'for path in {" ".join(wanted)}; do case "$have" in *" $path "*) ;; *) new="$new $path";; esac; done',
            '[ -z "$new" ] || hdfs dfs -mkdir -p $new',
        ]
        for mode in dict.fromkeys(wanted.values()):
            paths = " ".join(path for path, own in wanted.items() if own == mode)
            lines += [
                "some=",
                f'for path in {paths}; do case "$new " in *" $path "*) some="$some $path";; esac; done',
                f'[ -z "$some" ] || hdfs dfs -chmod {mode} $some',
            ]
        lines.append('for path in $new; do echo "made $path"; done')
        return topology.HDFS_NAMENODE, tuple(lines)
