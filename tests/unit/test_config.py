"""config/loading.py: what hosts.yml may say, and that every fault is a message with its line and never a traceback."""

from __future__ import annotations

import json
import os
import random
import re
import runpy
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.loading import load_config
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.config.redundancy import Redundancy
from sparkqfs.config.writing import dump_config, resolved
from sparkqfs.errors import ConfigError, ExitCode, Problem
from tests.builders.clusters import a_cluster
from tests.paths import DATA, ROOT

BAD = DATA / "badconfig"
CREATE_PARAMS = "spark.hadoop.fs.qfs.createParams"
TWO_NODES = "nodes: {node1: {address: 192.168.1.11, manager: true}, node2: 192.168.1.12}\n"

FULL = """\
cluster: lab-2
ssh: {user: admin, port: 2222, key: id, host_keys: strict, known_hosts: hosts/known, parallel: 4}
nodes:
  node1: {address: gate.example.org, advertise: 192.168.1.11, port: 2201, manager: yes}
  node2: {address: 192.168.1.12, data_dir: [/mnt/disk1/, /mnt//disk2], cores: 6, memory: 1.5g, cpu_share: 0.8}
  node3: 192.168.1.13
owner: {user: data, group: data, uid: 7000, gid: 7001}
data_dir: /srv/data
notebooks: {path: /srv/notebooks, shared: true}
network: overlay
subnet: 172.20.0.0/16
storage:
  kind: shared
  replication: 3
  qfs: {version: 2.2, tarball: qfs.tgz, url: "https://example.org/q.tgz", sha256: SHA}
  shared: {path: /mnt/nfs}
spark:
  executors_per_worker: 1
  driver_memory: 768MiB
  conf:
    {spark.sql.shuffle.partitions: 64, spark.eventLog.enabled: no, spark.locality.wait: 3s, spark.metrics.conf.*.x: y}
ports: {jupyter: 8080, spark_ui: 7777, app_ui: 4041, qfs_ui: 20051}
registry: {port: 5001, tls: false}
build: {base: local/debian:12, ca_certificates: ca.pem, pip_index: "http://pip:8081/simple", proxy: "http://me:pw@p:1"}
timeouts: {connect: 2.5, command: 30s, build: 2h, deploy: 10m}
""".replace("SHA", "AB" * 32)


def load(directory: Path, text: str | bytes, env: dict[str, str] | None = None) -> ClusterConfig:
    """Load this text as a cluster file."""
    file = directory / "hosts.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(file, env or {})


def faults(directory: Path, text: str | bytes, env: dict[str, str] | None = None) -> tuple[Problem, ...]:
    """The problems of this text."""
    with pytest.raises(ConfigError) as raised:
        load(directory, text, env)
    return raised.value.problems


@pytest.fixture
def full(tmp_path: Path) -> ClusterConfig:
    for name in ("id", "qfs.tgz", "ca.pem"):
        (tmp_path / name).write_text("x")
    return load(tmp_path, FULL)


# --- Good files ---


def test_an_address_for_one_node_is_a_whole_cluster_file(tmp_path: Path) -> None:
    config = load(tmp_path, "nodes: {node1: 192.168.1.11}\n")
    assert config == replace(a_cluster("node1"), file=tmp_path / "hosts.yml", ssh=config.ssh)
    assert config.manager.name == "node1"
    assert (config.ssh.known_hosts, config.ssh.host_keys) == (None, None)


def test_every_key_arrives_in_its_field(full: ClusterConfig, tmp_path: Path) -> None:
    one, two, three = full.nodes
    assert (full.name, full.subnet, full.registry_address) == ("lab-2", "172.20.0.0/16", "192.168.1.11:5001")
    assert (full.ssh.user, full.ssh.port, full.ssh.host_keys, full.ssh.parallel) == ("admin", 2222, "strict", 4)
    assert (full.ssh.key, full.ssh.known_hosts) == (tmp_path / "id", tmp_path / "hosts/known")
    assert (one.address, one.advertise, one.port, one.manager) == ("gate.example.org", "192.168.1.11", 2201, True)
    assert two.data_dirs == (PurePosixPath("/mnt/disk1"), PurePosixPath("/mnt/disk2"))
    assert (two.cores, two.memory_mib, two.cpu_share) == (6, 1536, 0.8)
    assert three == NodeConfig(
        name="node3", address="192.168.1.13", advertise="192.168.1.13", data_dirs=(PurePosixPath("/srv/data"),)
    )
    assert (full.owner.user, full.owner.group, full.owner.uid, full.owner.gid) == ("data", "data", 7000, 7001)
    assert (full.notebooks.path, full.notebooks.shared) == (PurePosixPath("/srv/notebooks"), True)
    assert (full.storage.kind, full.storage.replication) == ("shared", 3)
    assert full.storage.shared.path == PurePosixPath("/mnt/nfs")
    assert (full.storage.qfs.version, full.storage.qfs.tarball) == ("2.2", tmp_path / "qfs.tgz")
    assert (full.storage.qfs.url, full.storage.qfs.sha256) == ("https://example.org/q.tgz", "ab" * 32)
    assert (full.spark.executors_per_worker, full.spark.driver_memory_mib) == (1, 768)
    assert full.spark.conf == (
        ("spark.sql.shuffle.partitions", "64"),
        ("spark.eventLog.enabled", "false"),
        ("spark.locality.wait", "3s"),
        ("spark.metrics.conf.*.x", "y"),
    )
    assert (full.ports.jupyter, full.ports.spark_ui, full.ports.app_ui, full.ports.qfs_ui) == (8080, 7777, 4041, 20051)
    assert (full.registry.port, full.registry.tls) == (5001, False)
    assert (full.build.base, full.build.ca_certificates) == ("local/debian:12", (tmp_path / "ca.pem",))
    assert (full.build.pip_index, full.build.proxy) == ("http://pip:8081/simple", "http://me:pw@p:1")
    times = full.timeouts
    assert (times.connect_s, times.command_s, times.build_s, times.deploy_s) == (2.5, 30.0, 7200.0, 600.0)


@pytest.mark.parametrize("path", ["/home", "/root", "/tmp", "/var", "/var/lib", "/opt", "/srv", "/mnt", "//mnt/"])
def test_a_directory_that_others_use_is_neither_for_data_nor_for_notebooks(tmp_path: Path, path: str) -> None:
    text = f"data_dir: {path}\nnotebooks: {{path: {path}}}\n"
    assert [p.config_path for p in faults(tmp_path, TWO_NODES + text)] == ["data_dir", "notebooks.path"]
    below = f"data_dir: {path}/data\nnotebooks: {{path: {path}/me/notebooks}}\n"
    assert load(tmp_path, TWO_NODES + below).notebooks.path == PurePosixPath("/" + path.strip("/"), "me/notebooks")


@pytest.mark.parametrize(
    ("path", "is_fine"), [("/mnt", True), ("/srv", True), ("/media", True), ("/home", False), ("/var", False)]
)
def test_a_shared_file_system_may_be_mounted_where_one_mounts(tmp_path: Path, path: str, is_fine: bool) -> None:
    text = TWO_NODES + f"data_dir: /disk\nstorage: {{shared: {{path: {path}}}}}\n"
    if is_fine:
        assert load(tmp_path, text).storage.shared.path == PurePosixPath(path)
    else:
        assert [p.config_path for p in faults(tmp_path, text)] == ["storage.shared.path"]


def test_null_and_an_empty_section_mean_the_default(tmp_path: Path) -> None:
    plain = load(tmp_path, TWO_NODES)
    assert load(tmp_path, TWO_NODES + "ssh:\nbuild: {pip_index: null}\nsubnet: ~\nspark:\n  conf: {}\n") == plain


def test_the_environments_tarball_goes_before_the_files(tmp_path: Path) -> None:
    (tmp_path / "mine.tgz").write_text("x")
    text = TWO_NODES + "storage: {qfs: {tarball: not-there.tgz}}\n"
    config = load(tmp_path, text, {"SPARKQFS_QFS_TARBALL": str(tmp_path / "mine.tgz")})
    assert config.storage.qfs.tarball == tmp_path / "mine.tgz"


def test_a_tarball_of_the_environment_that_is_not_there_names_the_variable(tmp_path: Path) -> None:
    [problem] = faults(tmp_path, TWO_NODES, {"SPARKQFS_QFS_TARBALL": "/no/such.tgz"})
    expected = "SPARKQFS_QFS_TARBALL: cannot read /no/such.tgz: No such file or directory (storage.qfs.tarball)"
    assert str(problem) == expected


def test_a_tarball_of_the_environment_is_not_looked_at_where_no_qfs_runs(tmp_path: Path) -> None:
    text = TWO_NODES + "storage: {kind: hdfs}\n"
    assert load(tmp_path, text, {"SPARKQFS_QFS_TARBALL": "/no/such.tgz"}).storage.qfs.tarball is None


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "~nobody-of-that-name/x", "x" * 5000])
def test_odd_values_in_the_environment_give_no_traceback(tmp_path: Path, name: str) -> None:
    try:
        load(tmp_path, TWO_NODES, {"SPARKQFS_QFS_TARBALL": name})
    except ConfigError as error:
        str(error).encode()


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text("x")
    config = load(tmp_path, TWO_NODES + "ssh: {key: ~/key, known_hosts: ~/.ssh/known_hosts}\n")
    assert (config.ssh.key, config.ssh.known_hosts) == (tmp_path / "key", tmp_path / ".ssh/known_hosts")


# --- hosts.yml, the page about it, writing ---


def test_the_example_loads() -> None:
    config = load_config(ROOT / "hosts.yml", {})
    assert [node.name for node in config.nodes] == ["node1", "node2", "node3"]
    assert config.manager.name == "node1"


def test_the_examples_comments_are_all_keys_with_their_defaults(tmp_path: Path) -> None:
    text = (ROOT / "hosts.yml").read_text()
    uncommented = re.sub(r"(?m)^( *)#(?=\S)", r"\1", text)
    config = load(tmp_path, uncommented)
    assert config == replace(load_config(ROOT / "hosts.yml", {}), file=config.file)
    keys = runpy.run_path(str(ROOT / "docs" / "make_hosts_yml.py"))["keys"]()
    given = re.sub(r"(?m)^ *#.*$", "", uncommented)
    missing = [key for key in keys if not re.search(rf"(?m)^ *{key.rpartition('.')[2]}:", given)]
    assert not missing


def test_the_page_about_hosts_yml_is_what_the_code_says() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_hosts_yml.py"))["page"]()
    assert (ROOT / "docs" / "hosts-yml.md").read_text() == page, "run: python docs/make_hosts_yml.py"


def test_the_page_has_every_key_that_is_read() -> None:
    keys = runpy.run_path(str(ROOT / "docs" / "make_hosts_yml.py"))["keys"]()
    values = resolved(a_cluster("NAME"))
    assert sorted([*_paths(values), "data_dir", "defaults"]) == sorted(keys)


def _paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        is_section = isinstance(value, dict) and key != "conf"
        found += _paths(value, f"{prefix}{key}.") if is_section else [prefix + key]
    return found


def test_a_resolved_configuration_loads_as_the_same(full: ClusterConfig, tmp_path: Path) -> None:
    without_password = replace(full, build=replace(full.build, proxy="http://p:1"))
    assert load(tmp_path, dump_config(resolved(without_password))) == without_password


def test_a_resolved_configuration_is_json_without_a_password(full: ClusterConfig) -> None:
    text = json.dumps(resolved(full))
    assert "pw" not in text and "http://***@p:1" in text


def test_dumped_text_has_a_comment_and_no_alias(tmp_path: Path) -> None:
    disks = ["/mnt/a", PurePosixPath("/mnt/b")]
    one = {"address": "192.168.1.11", "manager": True, "data_dir": disks}
    text = dump_config({"cluster": "on", "nodes": {"node1": one, "no": {"address": "h2", "data_dir": disks}}})
    assert text.startswith("# ") and "&" not in text
    config = load(tmp_path, text)
    assert config.name == "on" and config.node("no").data_dirs == config.node("node1").data_dirs


def test_the_builder_gives_what_a_file_gives(tmp_path: Path) -> None:
    config = load(tmp_path, "nodes:\n  a: {address: 192.168.1.11, manager: true}\n  b: 192.168.1.12\n")
    assert a_cluster("a", "b", ssh=config.ssh, file=config.file) == config


# --- Faults ---

BAD_FILES: dict[str, tuple[int | None, str]] = {
    "address-bad": (3, "nodes.node1.address: found '192.168.1.300'; must be an IPv4 address or a host name"),
    "address-in-subnet": (2, "nodes.node1.address: 10.20.30.4 is in the overlay's subnet 10.20.30.0/24"),
    "address-is-others-advertise": (
        4,
        "nodes.node2.address: 192.168.1.12 is node1's already; every node needs its own",
    ),
    "address-loopback": (3, "nodes.node2.address: the other nodes cannot reach 127.0.0.1"),
    "address-option": (2, "nodes.node1: found '-oProxyCommand=id'; must be an IPv4 address or a host name"),
    "address-shell": (2, "nodes.node1: found 'host;id'; must be an IPv4 address or a host name"),
    "alias": (3, "found an alias (*one); aliases are not read"),
    "bomb": (1, "found an anchor (&a); anchors are not read"),
    "boolean": (3, "registry.tls: found 'maybe'; must be true or false"),
    "ca-file-missing": (4, "build.ca_certificates[0]: cannot read no-such.crt: No such file or directory"),
    "cluster-name": (1, "cluster: found 'My Cluster'"),
    "cores": (4, "nodes.node1.cores: found 'two'; must be a whole number from 1 to 1024"),
    "cpu-share": (4, "nodes.node1.cpu_share: found the number 1.5; must be a number above 0, at most 1"),
    "data-dir-blank": (2, "data_dir: found '/mnt/my data'; must be an absolute path other than `/`"),
    "data-dir-colon": (2, "data_dir: found '/mnt/a:b'; must be an absolute path other than `/`"),
    "data-dir-comma": (2, "data_dir: found '/mnt/a,b'; must be an absolute path other than `/`"),
    "data-dir-control": (2, "data_dir: found '/mnt/a\\nb'; must be an absolute path other than `/`"),
    "data-dir-empty": (2, "data_dir: found an empty list; must be an absolute path other than `/`"),
    "data-dir-home": (2, "data_dir: /home is not for a cluster alone; must be a directory of its own"),
    "data-dir-list": (4, "data_dir[1]: found 'disk2'; must be an absolute path other than `/`"),
    "data-dir-nested": (2, "data_dir: /mnt/disk1/more and /mnt/disk1: one is inside the other"),
    "data-dir-relative": (2, "data_dir: found 'mnt/data'; must be an absolute path other than `/`"),
    "data-dir-root": (2, "data_dir: found '/'; must be an absolute path other than `/`"),
    "data-dir-system": (
        2,
        "data_dir: /etc/data belongs to the system; must be a directory for data, such as /mnt/data",
    ),
    "data-dir-up": (2, "data_dir: found '/mnt/../etc'; must be an absolute path other than `/`"),
    "deep": (2, "nested more than 12 levels deep"),
    "duplicate-address": (4, "nodes.node2.address: 192.168.1.11 is node1's already; every node needs its own"),
    "duplicate-key": (3, "cluster: given twice, first on line 2"),
    "duplicate-node": (3, "nodes.node1: given twice, first on line 2"),
    "duration-zero": (
        2,
        "timeouts.deploy: found the number 0; must be a duration above 0 such as 10s, 5m or 300 (seconds), up to 168h",
    ),
    "duration": (
        3,
        "timeouts.connect: found '10 minutes'; must be a duration above 0 such as 10s, 5m or 300 (seconds), up to 168h",
    ),
    "empty-node": (2, "nodes.node1.address: missing; must be an IPv4 address or a host name"),
    "empty-nodes": (2, "nodes: must name at least one node"),
    "escape": (1, "not valid YAML: an escape or a number is out of range"),
    "gid-large": (2, "owner.gid: found the number 4294967296; must be a whole number from 1 to 2147483647"),
    "host-keys": (3, "ssh.host_keys: found 'strickt'; must be accept-new or strict"),
    "image": (2, "build.base: found 'debian bookworm'; must be an image name such as debian:bookworm-slim"),
    "key-control": (2, "found 'a\\x1bb' as a key; keys must be short text"),
    "key-file-missing": (4, "ssh.key: cannot read no/such/key: No such file or directory"),
    "key-is-list": (2, "found a list as a key; keys must be short text"),
    "key-not-text": (2, "found the boolean true as a key; keys must be short text"),
    "kind": (3, "storage.kind: found 'ceph'; must be qfs or hdfs or shared"),
    "known-hosts": (2, "ssh.known_hosts: found the number 5; must be the path of a file"),
    "list": (1, "found a list; the file must be a mapping (key: value) with `nodes`"),
    "login": (2, "ssh.user: found 'root; id'; must be a user name of letters, digits and ._-, at most 32"),
    "memory-bad-unit": (
        4,
        "nodes.node1.memory: found '24q'; must be a size with its unit such as 24g or 512m, from 256m to 64t",
    ),
    "memory-without-unit": (
        4,
        "nodes.node1.memory: found the number 24; must be a size with its unit such as 24g or 512m, from 256m to 64t",
    ),
    "network-host-name": (
        3,
        "nodes.node2.address: `network: host` needs an IPv4 address; w2.example.org is a name",
    ),
    "network": (2, "network: found 'mesh'; must be overlay or host"),
    "no-manager": (2, "nodes: no node is the manager; must be exactly one"),
    "no-nodes": (1, "nodes: must name at least one node"),
    "node-name-number": (2, "nodes: found the number 1 as a key; keys must be short text"),
    "node-name": (
        2,
        "nodes.Node_1: 'Node_1' cannot name a node; must be a-z, 0-9 and -, at most 63, with no dash at the ends",
    ),
    "node-without-address": (2, "nodes.node1.address: missing; must be an IPv4 address or a host name"),
    "nodes-as-list": (1, "nodes: found a list; must be a mapping (key: value)"),
    "not-yaml": (3, "not valid YAML: expected ',' or '}', but got ':', while parsing a flow mapping"),
    "notebooks-path": (2, "notebooks.path: /mnt/data/qfs/notebooks holds or is in what the daemons write in /mnt/data"),
    "notebooks-secrets": (2, "notebooks.path: /mnt/data/sparkqfs holds or is in what the daemons write in /mnt/data"),
    "notebooks-shared": (2, "notebooks.shared: true needs notebooks.path, a directory that every node mounts"),
    "only-comments": (None, "the file is empty; it must name the nodes"),
    "owner-name": (2, "owner.user: found 'Spark User'"),
    "port-fixed": (3, "ports.app_ui: port 7077 is the Spark master's"),
    "port-range": (3, "ssh.port: found the number 70000; must be a whole number from 1 to 65535"),
    "port-twice": (3, "ports.jupyter: port 8080 is ports.spark_ui's already"),
    "proxy": (2, "build.proxy: not an address; must start with http:// or https:// and have no spaces"),
    "registry-port": (2, "registry.port: port 4040 is ports.app_ui's already"),
    "reed-solomon": (5, f"spark.conf.{CREATE_PARAMS}: Reed-Solomon 6+3 needs 9 nodes; there are 2"),
    "create-params": (5, f"spark.conf.{CREATE_PARAMS}: found '2,6'; must be copies, or copies,data,recovery"),
    "dfs-replication": (4, "spark.conf.spark.hadoop.dfs.replication: 5 copies need 5 nodes; there are 2"),
    "replication-negative": (2, "storage.replication: found the number -1; must be a whole number from 1 to 64"),
    "replication-too-high": (3, "storage.replication: 3 copies need 3 nodes; there are 2"),
    "replication-zero": (2, "storage.replication: found the number 0; must be a whole number from 1 to 64"),
    "scalar": (1, "found 'node1'; the file must be a mapping (key: value) with `nodes`"),
    "secret-deep": (3, "nonsense.0.deeper.jupyter_token: secrets do not belong in this file"),
    "secret-spark": (4, "spark.conf.spark.authenticate.secret: secrets do not belong in this file"),
    "secret": (3, "registry.password: secrets do not belong in this file"),
    "sha256": (4, "storage.qfs.sha256: found 'abc'; must be 64 hexadecimal digits"),
    "shared-in-data-dir": (
        4,
        "storage.shared.path: /mnt/data/shared and the data directory /mnt/data: one is inside the other",
    ),
    "shared-root": (4, "storage.shared.path: found '/'; must be an absolute path other than `/`"),
    "shared-without-path": (
        2,
        "storage.shared.path: missing; must be the directory that every node mounts, since storage.kind is shared",
    ),
    "spark-conf-nested": (
        4,
        "spark.conf.spark.sql: found a mapping; must be one line of text, a number or a boolean",
    ),
    "spark-conf-placeholder": (
        2,
        "spark.conf.spark.app.name: found '@CLUSTER_KEY@'; must be one line of text, a number or a boolean",
    ),
    "spark-conf": (4, "spark.conf.sql.shuffle.partitions: not a Spark setting; its name must start with `spark.`"),
    "subnet-host-bits": (2, "subnet: '10.20.30.1/24' has bits set beyond its prefix; the network is 10.20.30.0/24"),
    "subnet-no-prefix": (2, "subnet: found '10.20.30.0'; must be a private IPv4 network such as 10.20.30.0/24"),
    "subnet-not-private": (2, "subnet: found '8.8.8.0/24'; must be a private IPv4 network such as 10.20.30.0/24"),
    "subnet-too-small": (2, "subnet: 10.20.30.0/29 has 6 addresses; 2 nodes need 14"),
    "tab": (2, "not valid YAML: found character '\\t' that cannot start any token, while scanning for the next token"),
    "tag-local": (1, "found a tag (!name); tags are not read"),
    "tag": (1, "found a tag (tag:yaml.org,2002:python/object/apply:os.system); tags are not read"),
    "tarball-directory": (4, "storage.qfs.tarball: . is not a file"),
    "tarball-missing": (4, "storage.qfs.tarball: cannot read no-such.tgz: No such file or directory"),
    "two-documents": (2, "found a second document (`---`); one file is one cluster"),
    "two-managers": (5, "nodes.node2.manager: node node2 is a second manager beside node1; must be exactly one"),
    "uid-root": (2, "owner.uid: found the number 0; must be a whole number from 1 to 2147483647"),
    "unknown-key-elsewhere": (2, "replication: unknown key"),
    "unknown-key": (4, "nodes.node1.adress: unknown key"),
    "unknown-section": (2, "timeout: unknown key"),
    "url-credentials": (3, "build.pip_index: has a user name or password in it, which would be stored in every image"),
    "url": (2, "storage.qfs.url: not an address; must start with http:// or https:// and have no spaces"),
    "version": (2, "storage.qfs.version: found 'latest'; must be a version such as 2.2.8"),
    "wrong-type": (2, "ssh: found 'root'; must be a mapping (key: value)"),
}


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_bad_file_is_one_message_with_its_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    line, fragment = BAD_FILES[name]
    with pytest.raises(ConfigError) as raised:
        load_config(Path(f"{name}.yml"), {})
    where = f"{name}.yml" + (f":{line}" if line else "")
    messages = [str(problem) for problem in raised.value.problems]
    assert any(message.startswith(f"{where}: {fragment}") for message in messages), messages
    assert raised.value.exit_code == ExitCode.USAGE
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("key", "text"), [("port", "22"), ("manager", "true"), ("cpu_share", "0.5"), ("port", "0")])
def test_a_number_or_a_boolean_in_quotes_is_told_to_be_one(tmp_path: Path, key: str, text: str) -> None:
    (tmp_path / "x.yml").write_text(f"nodes: {{node1: {{address: 10.0.0.1, {key}: '{text}'}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "x.yml", {})
    (problem,) = caught.value.problems
    assert problem.hint == (None if text == "0" else f"write {text} without quotes")


@pytest.mark.parametrize("replication", [0, -1, 3])
def test_a_replication_that_does_not_fit_says_what_does(tmp_path: Path, replication: int) -> None:
    [problem] = faults(tmp_path, TWO_NODES + f"storage: {{replication: {replication}}}\n")
    assert problem.config_path == "storage.replication"
    assert problem.hint == "1 to 2 fit on 2 nodes; 2 is advised"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", Redundancy(2)),
        ("'1,0,0,0,1'", Redundancy(1)),
        ("S", Redundancy(1, 6, 3)),
        ("'1,6,3,65536,2,15,15'", Redundancy(1, 6, 3)),
    ],
)
def test_what_spark_conf_asks_of_qfs_is_what_the_layout_is_judged_by(
    tmp_path: Path, text: str, expected: Redundancy
) -> None:
    nodes = "nodes:\n  n0: {address: 192.168.1.10, manager: true}\n"
    nodes += "".join(f"  n{number}: 192.168.1.{10 + number}\n" for number in range(1, 9))
    config = load(tmp_path, f"{nodes}spark: {{conf: {{{CREATE_PARAMS}: {text}}}}}\n")
    assert config.redundancy == expected


@pytest.mark.parametrize(("network", "said"), [("overlay", None), ("host", "port 18081 is the history server's own")])
def test_ports_inside_containers_are_taken_on_the_machines_own_network(
    tmp_path: Path, network: str, said: str | None
) -> None:
    text = f"network: {network}\nnodes: {{node1: 192.168.1.11}}\nports: {{jupyter: 18081}}\n"
    if said is None:
        assert load(tmp_path, text).ports.jupyter == 18081
        return
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert [problem.what for problem in raised.value.problems] == [said]


def test_every_bad_file_has_its_message() -> None:
    assert {path.stem for path in BAD.glob("*.yml")} == set(BAD_FILES)


@pytest.mark.parametrize("name", sorted(set(BAD_FILES) - {"alias", "bomb", "key-not-text", "secret-deep"}))
def test_one_mistake_gives_one_message(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(BAD / f"{name}.yml", {})
    assert len(raised.value.problems) == 1


def test_all_faults_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "cluster: A\nnodes:\n  node1: {address: 192.168.1.11, cores: 0, prot: 22}\nowner: {uid: 0, gid: x}\nsubnet: 1\n"
    )
    problems = faults(tmp_path, text)
    assert [(p.line, p.config_path) for p in problems] == [
        (1, "cluster"),
        (3, "nodes.node1.cores"),
        (3, "nodes.node1.prot"),
        (4, "owner.uid"),
        (4, "owner.gid"),
        (5, "subnet"),
    ]
    assert problems[2].hint == "did you mean `port`?"
    assert {p.code for p in problems} == {ExitCode.USAGE}


def many(count: int) -> str:
    nodes = "".join(f"  n{number}: 192.168.{number // 250}.{number % 250 + 1}\n" for number in range(1, count))
    return "nodes:\n  n0: {address: gate, manager: true}\n" + nodes


@pytest.mark.parametrize(
    ("nodes", "subnet"),
    [
        (1, "10.20.30.0/24"),
        (82, "10.20.30.0/24"),
        (83, "10.20.30.0/23"),
        (128, "10.20.30.0/23"),
        (168, "10.20.28.0/22"),
        (1000, "10.20.16.0/20"),
    ],
)
def test_the_default_subnet_has_room_for_the_nodes(tmp_path: Path, nodes: int, subnet: str) -> None:
    assert load(tmp_path, many(nodes)).subnet == subnet


def test_a_subnet_of_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    [problem] = faults(tmp_path, many(100) + "subnet: 10.20.30.0/24\n")
    assert problem.config_path == "subnet" and "254 addresses; 100 nodes need 308" in problem.what
    assert load(tmp_path, many(100) + "subnet: 10.20.0.0/16\n").subnet == "10.20.0.0/16"


@pytest.mark.parametrize(
    ("text", "line", "fragment"),
    [
        (b"nodes:\n  node1: \xff\xfe\n", 2, "not UTF-8: byte 0xff"),
        (b"nodes:\n\n  node1: a\0b\n", 3, "not text: character number 0"),
        (b"", None, "the file is empty"),
        (b"---\n", None, "the file is empty"),
        (b"# " + b"x" * 2**20, None, "larger than 1 MiB"),
        (b"[" * 2**19, 1, "nested more than 12 levels deep"),
        (b"nodes: [" + b"a," * 100_000 + b"]", 1, "too many values"),
        (b"%YAML 1." + b"9" * 5000 + b"\n---\na: 1\n", 1, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_yaml_says_why(tmp_path: Path, text: bytes, line: int | None, fragment: str) -> None:
    [problem] = faults(tmp_path, text)
    assert problem.line == line and fragment in problem.what


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    text = "\ufeffcluster: lab\r\n" + TWO_NODES.replace("\n", "\r\n")
    assert load(tmp_path, text).name == "lab"


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, fragment in (
        ("missing.yml", "cannot be read: No such file or directory"),
        (".", "is a directory, not a file"),
        ("fifo", "is not a regular file"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(ConfigError) as raised:
            load_config(tmp_path / name, {})
        [problem] = raised.value.problems
        assert fragment in problem.what and problem.code == ExitCode.USAGE


def test_a_long_or_unprintable_value_is_shortened_in_the_message(tmp_path: Path) -> None:
    for value in ("x" * 10_000, "\\e[31m", "\\uD800", "\\n" * 50):
        [problem] = faults(tmp_path, TWO_NODES + f'cluster: "{value}"\n')
        assert len(str(problem)) < 300 and str(problem).isprintable()
        str(problem).encode()


# --- Fuzz ---

SPICE: tuple[str, ...] = (
    "&a ",
    "*a",
    "!!str ",
    "? ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "\t",
    "\0",
    "---\n",
    "null",
    "~",
    "|\n",
    ">-",
)
SPICE += (
    "0x10",
    "1e999",
    ".nan",
    "1_0",
    "9" * 400,
    "<<: ",
    "%TAG ",
    "\\U",
    "\u2028",
    "\ud7ff",
    "\ufeff",
    "２２",
    "-",
    "@",
    "`",
)


def mutated(text: str, chance: random.Random) -> bytes:
    """The text after one to six random edits."""
    for _ in range(chance.randint(1, 6)):
        lines = text.splitlines(keepends=True) or [""]
        place, spot = chance.randrange(len(text) + 1), chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                text = text[:place] + chance.choice(SPICE) + text[place:]
            case 1:
                text = text[:place] + text[place + chance.randint(1, 9) :]
            case 2:
                lines.insert(chance.randrange(len(lines)), lines[spot])
                text = "".join(lines)
            case 3:
                del lines[spot]
                text = "".join(lines)
            case 4:
                words = re.split(r"(\W+)", text)
                words[chance.randrange(len(words))] = chance.choice(SPICE)
                text = "".join(words)
            case 5:
                lines[spot] = " " * chance.randint(0, 6) + lines[spot].lstrip(" ")
                text = "".join(lines)
            case _:
                text = text[:place]
    content = bytearray(text.encode())
    if content and chance.random() < 0.1:
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_file_loads_or_is_a_config_error(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sources = [FULL, TWO_NODES, re.sub(r"(?m)^( *)#(?=\S)", r"\1", (ROOT / "hosts.yml").read_text())]
    sources += [path.read_text() for path in sorted(BAD.glob("*.yml"))]
    loaded = 0
    for number in range(100):
        source = sources[number % 3] if number % 2 else chance.choice(sources)
        try:
            config = load(tmp_path, mutated(source, chance))
        except ConfigError as error:
            assert error.problems and error.exit_code == ExitCode.USAGE
            str(error).encode()
        else:
            json.dumps(resolved(config))
            loaded += 1
    assert 0 < loaded < 100, "the mutations are too weak or too strong to find anything"


@pytest.mark.parametrize(
    ("text", "mib"),
    [("2G", 2048), ("1000M", 1000), ("1024000k", 1000), ("2gb", 2048), ("1073741824b", 1024), ("1T", 1024**2)],
)
def test_sizes_may_be_written_as_spark_writes_them(tmp_path: Path, text: str, mib: int) -> None:
    config = load(tmp_path, f"{TWO_NODES}spark: {{driver_memory: {text}}}\n")
    assert config.spark.driver_memory_mib == mib
