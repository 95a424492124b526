"""Images and their parents, daemons and their ports, pinned versions. Facts of the product, no logic."""

from typing import NamedTuple

SPARK_VERSION = "4.1.4"
QFS_VERSION = "2.2.8"
QFS_URL = "https://s3.amazonaws.com/quantcast-qfs/qfs-debian-12-{version}-{arch}.tgz"
"""Source: QFS wiki, Binary-Distributions. `arch` is `x86_64` or `aarch64`."""
HADOOP_VERSION = "3.5.0"
DELTA_VERSION = "4.4.0"
"""docs/decisions/0043: of its jars and of its Python package."""
MAVEN_URL = "https://" + ".".join(("repo1", "maven", "org")) + "/maven2/"
"""Maven Central: where docker/worker-node/hadoop.lock's paths lead."""
OLDEST_ENGINE = (20, 10, 24)
"""Oldest Docker Engine whose encrypted overlays are sound (CVE-2023-28840)."""
DOCKER_API = "1.41"
"""The API of Engine 20.10."""

META_CLIENT_PORT = 20000
META_CHUNK_PORT = 30000
CHUNK_PORT = 22000
SPARK_MASTER_PORT = 7077
SPARK_WORKER_PORT = 8881
SPARK_WORKER_UI_PORT = 8081
QFS_UI_PORT = 20050
NAMENODE_PORT = 9820
DATANODE_PORT = 9866
DATANODE_IPC_PORT = 9867
DATANODE_HTTP_PORT = 9864
"""On loopback."""
HDFS_UI_PORT = 9870
NAMENODE_HTTP_PORT = 9871
"""On loopback: a page of ours is in front of it."""
SPARK_UI_PORT = 8080
JUPYTER_PORT = 7777
APP_UI_PORT = 4040
DRIVER_PORT = 35000
DRIVER_BLOCKS_PORT = 35001
"""The next 64 are tried where these are taken."""
HISTORY_PORT = 18080
HISTORY_OWN_PORT = 18081
"""On loopback: a page of ours is in front of it."""
METASTORE_PORT = 9083
METADATA_COPY_PORT = 20100
SWARM_PORT = 2377
"""On the manager, for nodes that join."""
SWARM_NODES_PORT = 7946
"""Among all nodes."""
FIXED_PORTS = {
    META_CLIENT_PORT: "the metaserver's, for clients",
    META_CHUNK_PORT: "the metaserver's, for chunkservers",
    CHUNK_PORT: "the chunkservers'",
    NAMENODE_PORT: "the namenode's, for clients",
    DATANODE_PORT: "the datanodes'",
    SPARK_MASTER_PORT: "the Spark master's",
    SPARK_WORKER_PORT: "the Spark workers'",
    SPARK_WORKER_UI_PORT: "the Spark workers' web UI's",
    METASTORE_PORT: "the metastore's",
    METADATA_COPY_PORT: "that of the metadata's copies",
    SWARM_PORT: "Swarm's own",
    SWARM_NODES_PORT: "Swarm's own",
}
"""No setting may give these to something else: port → whose it is. On the machines' own network they are the machine's,
and `network` can be changed."""
INNER_PORTS = {
    NAMENODE_HTTP_PORT: "that of the namenode's web server",
    DATANODE_HTTP_PORT: "that of the datanodes' web server",
    DATANODE_IPC_PORT: "the datanodes', for each other",
    HISTORY_OWN_PORT: "the history server's own",
}
"""The same, but only on the machines' own network: an overlay's containers keep them to themselves."""

QFS_MASTER = "qfs-master"
HDFS_NAMENODE = "hdfs-namenode"
SPARK_MASTER = "spark-master"
WORKER_NODE = "worker-node"
JUPYTER_SERVER = "jupyter-server"
HISTORY_SERVER = "history-server"
METASTORE = "metastore"
METADATA_COPY = "metadata-copy"
METADATA_SECRET = "metadata-key"
"""Known to the storage's master and to those who keep copies of its metadata, to no container of users' programs."""
RECOVERY_TOP = "spark-master"
"""The Spark master's state, under the manager's first data directory."""
CATALOGUE_TOP = "metastore"
"""The names of tables, there too; a directory in it for each kind of storage."""
REGISTRY = "registry"
PACKAGES = "packages"
"""Not an image of its own: the last layer of images that users add packages to."""
DELTA = "delta"
"""Not an image of its own either: a layer below that one, where `spark.delta` asks for it."""
NETWORK = "cluster_network"
SERVICE_LABEL = "sparkqfs.stack"
CONTEXT_LABEL = "sparkqfs.context"
IMAGE_LABEL = "sparkqfs.image"
"""`NAME:TAG`, whatever registry an image came from: the tag says all that it is made of."""


class Image(NamedTuple):
    """One image and the image it is built on; `None` means the configured base."""

    name: str
    parent: str | None


REGISTRY_IMAGE = Image(REGISTRY, None)
