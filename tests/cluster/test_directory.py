"""The life of a cluster whose storage is a shared directory, on two container machines of its own.

The tests stand on each other, in the order in which they are written.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import requests
import yaml

from sparkqfs.config.loading import load_config
from tests.cluster.browser import browser, why_not
from tests.cluster.jdbc_tool import ask, driver
from tests.cluster.jupyter_page import Jupyter
from tests.cluster.kept import Kept
from tests.cluster.life import (
    Cluster,
    Redeployed,
    files_there_and_back,
    jvms_of_spark,
    on_node,
    run_small,
    table_twice_and_at_once,
    with_storage,
)
from tests.paths import ROOT

pytestmark = pytest.mark.cluster

GIVE_BACK_S = 20
WITHOUT_DELTA = """\
try:
    spark.sql("CREATE TABLE books (id INT) USING delta")
except Exception as error:
    print(error)

"""


@pytest.fixture(scope="class")
def shared(machines: Path) -> Cluster:
    """Its registry is without TLS; name, directories and port are not what they are by default."""
    more = {"cluster": "plain", "data_dir": "/mnt/data/plain", "registry": {"port": 5001, "tls": False}}
    file = with_storage(machines, "shared", **more)
    settings = yaml.safe_load(file.read_text())
    settings["spark"]["conf"]["spark.sparkqfs.giveBack"] = str(GIVE_BACK_S)
    file.write_text(yaml.safe_dump(settings))
    return Cluster(file, "plain")


def cores_used(cluster: Cluster) -> int:
    return int(cluster.ok("status", "--json").json["spark"]["cores_used"])


def until_cores_are_free(cluster: Cluster) -> None:
    """The Connect server goes on, and gives its executors back when nobody asks it anything."""
    end = time.monotonic() + GIVE_BACK_S + 60
    while cores_used(cluster):
        assert time.monotonic() < end
        time.sleep(1)


class SharedDirectory:
    """A directory that all nodes share: the smoke test that runs everywhere."""

    nodes = 2
    kept_as = "directory"
    """Of the volumes that stay."""

    def test_an_engine_settings_file_that_is_no_json_is_not_touched(self, shared: Cluster, kept: Kept) -> None:
        on_node(2, "sh", "-c", "echo '{ no json' > /etc/docker/daemon.json")
        ran = shared.run("prep", "--json")
        assert (ran.code, ran.states()["node2"]) == (1, "failed")
        assert on_node(2, "cat", "/etc/docker/daemon.json") == "{ no json\n"
        settings = {"log-opts": {"max-size": "7m"}}
        on_node(2, "sh", "-c", f"echo '{json.dumps(settings)}' > /etc/docker/daemon.json")
        shared.ok("prep")
        kept.seed("/mnt/data/plain", "plain")
        entry = {"insecure-registries": [f"{load_config(shared.hosts).manager.advertise}:5001"]}
        assert json.loads(on_node(2, "cat", "/etc/docker/daemon.json")) == settings | entry

    def test_up_brings_the_cluster_to_work_through_a_registry_without_tls(self, shared: Cluster, kept: Kept) -> None:
        shared.ok("up", "--json", timeout_s=2400)
        kept.has_built()
        assert not any(stage["changed"] for stage in shared.ok("up", "--json").json["stages"])
        found = shared.ok("status", "--json").json
        assert found["storage"] == {"kind": "shared"}
        assert found["spark"]["workers_alive"] == self.nodes

    def test_a_browser_with_the_token_runs_a_notebook(self, shared: Cluster) -> None:
        if reason := why_not():
            pytest.skip(reason)
        jupyter = Jupyter.of(shared.ok("token", "--json").json["url"])
        jupyter.copy_with("pandas_udf.ipynb", "browser.ipynb", "ROWS = 50_000\nGROUPS = 3")
        try:
            with browser() as page:
                result = jupyter.run_all(page, "browser.ipynb", ROOT / "results" / "browser.png", timeout_s=600)
        finally:
            jupyter.close("browser.ipynb")
        assert (result["rows"], result["groups"], result["faults"]) == (50_000, 3, [])

    def test_without_the_token_jupyter_shows_nothing(self, shared: Cluster) -> None:
        jupyter = Jupyter.of(shared.ok("token", "--json").json["url"])
        with pytest.raises(requests.HTTPError, match="403"):
            Jupyter(jupyter.url, "wrong").api("GET", "contents")
        page = f"{jupyter.url}/proxy/app-20260101000000-0000/"
        with requests.Session() as http:
            http.trust_env = False
            shut = http.get(page, allow_redirects=False, timeout=60)
            assert shut.status_code == 403 or (shut.status_code == 302 and "/login?" in shut.headers["Location"])
            headers = {"Authorization": f"token {jupyter.token}"}
            passed = http.get(page, headers=headers, allow_redirects=False, timeout=60)
        assert passed.status_code in (403, 404, 502), "the master's word on an application that nobody started"
        assert passed.headers["Content-Security-Policy"].startswith("sandbox "), "not a page of Jupyter's own"

    @pytest.mark.long
    def test_the_notebook_counts_primes(self, shared: Cluster) -> None:
        result = shared.ok("notebook", "primes", "--max-value", "100000", "--json").json["result"]
        assert (result["count"], result["matches"]) == (9592, True)
        assert result["path"].startswith("file:///data/shared/")
        assert result["local_share"] is None

    def test_a_table_has_all_its_rows_for_every_program_whoever_wrote_it(self, shared: Cluster) -> None:
        table_twice_and_at_once(shared, shared.hosts.parent)
        assert "Write `delta: true` below `spark:`" in shared.run("shell", stdin=WITHOUT_DELTA).out

    def test_sql_and_a_jdbc_tool_ask_the_tables_that_programs_wrote(self, shared: Cluster) -> None:
        try:
            asked = "select count(*) as rows, count(distinct id) as ids from kept"
            assert shared.ok("sql", "-e", asked, "--csv").out == "rows,ids\n270000,90000\n"
            (tables,) = shared.ok("sql", "-e", "show tables", "--json").json["results"]
            assert "kept" in [row["tableName"] for row in tables["rows"]]
            zoned = (
                "set time zone 'America/New_York'; select timestamp'2024-01-01 00:00:00' as t, cast(0.1 as float) as f"
            )
            assert shared.ok("sql", "-e", zoned, "--csv").out.endswith("\nt,f\n2024-01-01 00:00:00,0.1\n")
            all_of_them = cores_used(shared)
            assert all_of_them > 0
            running = [jvms_of_spark(1), jvms_of_spark(2)]
            assert {*running[0].values(), *running[1].values()} == {"maps"}, running
            assert all({"Worker", "CoarseGrainedExecutorBackend"} <= {*on_one} for on_one in running), running
            assert {"Master", "HistoryServer", "SparkSubmit", "Metastore"} <= {*running[0], *running[1]}
            wrong = shared.run("sql", "-e", "select * from nothing_here")
            assert wrong.code == 1 and "TABLE_OR_VIEW_NOT_FOUND" in wrong.err and "Traceback" not in wrong.err
            if isinstance(jar := driver(), str):
                pytest.skip(jar)
            with shared.beside("jdbc", "--json") as door:
                code, said, errors = ask(jar, door, door["password"], "kept", asked)
                assert code == 0, errors
                found = {"schema\tdefault", "table\tdefault\tkept", "column\tid\tBIGINT", "row\t270000\t90000"}
                assert found <= {*said}
                code, said, errors = ask(jar, door, "wrong", "kept", asked)
                assert (code, said) == (1, []) and "Error validating the login" in errors
            until_cores_are_free(shared)
            assert shared.ok("sql", "-e", asked, "--csv").out == "rows,ids\n270000,90000\n"
            assert cores_used(shared) == all_of_them
        finally:
            shared.ok("connect", "--stop")
        assert shared.ok("status", "--json").json["spark"]["cores_used"] == 0

    def test_a_path_of_each_machine_is_refused(self, shared: Cluster) -> None:
        ran = shared.run("shell", stdin="spark.range(10).write.parquet('/tmp/nowhere')\n")
        assert ran.code == 1 and "is another directory here than on the driver's machine" in ran.err

    @pytest.mark.long
    def test_the_csv_notebook_finds_every_broken_line(self, shared: Cluster) -> None:
        result = run_small(shared, "csv_to_sql")
        assert (result["rows"], result["broken"]) == (3 * 1439, 3)

    def test_a_file_of_ones_own_is_drawn_as_the_end_of_a_deploy_says(self, shared: Cluster) -> None:
        folder = shared.hosts.parent
        (folder / "data.csv").write_text("day,bikes,a name.with dots\n2026-01-01,3,x\n2026-01-02,4,y\n2026-01-01,2,x\n")
        steps = [line.split("   ")[0].split()[1:] for line in shared.ok("deploy").out.splitlines() if "invoke " in line]
        put, plot = (next(words for words in steps if words[0] == task) for task in ("put", "notebook"))
        shared.ok(*put)
        ran = shared.ok(*plot, "--param", "X=a name.with dots", "--json").json
        assert (ran["result"]["rows"], ran["result"]["values"], ran["result"]["faults"]) == (3, 2, [])
        assert ran["result"]["summary"][0].endswith("sum of bikes by a name.with dots: 2 values")
        assert (folder / "results" / "plot-1.png").read_bytes().startswith(b"\x89PNG")
        shared.ok("rm", put[-1], "--yes")

    def test_files_go_to_the_storage_and_back(self, shared: Cluster) -> None:
        files_there_and_back(shared)
        shared.ok("rm", "/tmp/files", "--recursive", "--yes")

    def test_verify_claims_nothing_of_storage_without_places(self, shared: Cluster) -> None:
        small = ("verify", "--mib", "8", "--files", "2", "--reads", "1", "--max-remote", "0.05", "--json")
        ran = shared.run(*small)
        assert (ran.code, ran.json["verdict"]["state"]) == (1, "no locality")
        assert "--max-remote 0.05 cannot be met" in ran.json["problems"][0]["what"]


class TestShared(Redeployed, SharedDirectory):
    """The shared directory's life."""

    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, shared: Cluster) -> Cluster:
        return shared

    def test_down_leaves_the_files(self, shared: Cluster) -> None:
        shared.ok("down")
        assert on_node(1, "find", "/mnt/shared", "-name", "*.parquet") != ""
