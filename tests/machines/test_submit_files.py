"""Files of this computer that a program needs: what is sent of them, and what is refused before anything is sent."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ConfigError
from sparkqfs.jobs.programs import local_look, submit
from sparkqfs.plan.programs.setting_files import DRIVERS_LOG4J
from sparkqfs.plan.programs.user import Program
from tests.builders.apps import ID, PLACE
from tests.doubles.manager import Manager, a_manager


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `invoke` runs, with a program."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.py").write_text("print(1)\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    (tmp_path / "manager").mkdir()
    with a_manager(tmp_path / "manager") as found:
        yield found


def content(**more: Any) -> tuple[list[str], dict[str, bytes]]:
    """(spark-submit's words, files by their names) of what would be sent."""
    _, parcel = local_look.look_here(Program(program="a.py", **more), ID)
    with tarfile.open(fileobj=io.BytesIO(local_look.tar_of(parcel))) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    return json.loads(files.pop("app.json"))["argv"], files


def setting(argv: list[str], name: str) -> str:
    return next(word.partition("=")[2] for word in argv if word.startswith(f"{name}="))


def refused(**more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        content(**more)
    return str(caught.value)


# --- directories and patterns ---------------------------------------------------------------------


def run_with(archive: bytes, folder: Path, code: str) -> str:
    """What Python prints with the zip in its path, as a driver has it."""
    (folder / "sent.zip").write_bytes(archive)
    env = {**os.environ, "PYTHONPATH": str(folder / "sent.zip")}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_a_package_comes_under_its_name_and_another_directory_as_a_place_of_modules(here: Path, tmp_path: Path) -> None:
    for name in ("pack", "src/inner", "src/.hidden", "pack/__pycache__"):
        (here / name).mkdir(parents=True)
    (here / "pack" / "__init__.py").write_text("from pack.deep import X\n")
    (here / "pack" / "deep.py").write_text("import pkgutil\nX = pkgutil.get_data('pack', 'data.txt').decode()\n")
    (here / "pack" / "data.txt").write_text("found")
    (here / "pack" / "__pycache__" / "deep.pyc").write_text("")
    (here / "src" / "tool.py").write_text("Y = 2\n")
    (here / "src" / "inner" / "__init__.py").write_text("Z = 3\n")
    (here / "src" / ".hidden" / "secret.py").write_text("")
    (here / "src" / "loop").symlink_to(here / "src")
    argv, files = content(py_files=("pack/", "./src"))
    assert argv[argv.index("--py-files") + 1] == f"{PLACE}/pack.zip,{PLACE}/src.zip"
    assert run_with(files["files/pack.zip"], tmp_path, "import pack; print(pack.X)") == "found\n"
    assert run_with(files["files/src.zip"], tmp_path, "import tool, inner; print(tool.Y + inner.Z)") == "5\n"
    with zipfile.ZipFile(io.BytesIO(files["files/src.zip"])) as found:
        assert found.namelist() == ["tool.py", "inner/__init__.py"]
    assert content(py_files=("pack", "src"))[1] == files, "the same files give the same bytes"


def test_a_package_that_is_a_link_is_imported_by_the_name_of_the_link(here: Path, tmp_path: Path) -> None:
    (here / "pack-2.1").mkdir()
    (here / "pack-2.1" / "__init__.py").write_text("X = 'found'\n")
    (here / "pack").symlink_to("pack-2.1")
    (here / "up").symlink_to(here.parent)
    for given in ("pack", "./pack/", f"up/{here.name}/pack", str(here / "pack")):
        _, files = content(py_files=(given,))
        assert run_with(files["files/pack.zip"], tmp_path, "import pack; print(pack.X)") == "found\n"


def test_a_directory_without_modules_or_for_another_flag_is_refused(here: Path) -> None:
    (here / "empty").mkdir()
    assert "no Python module is in this directory" in refused(py_files=("empty",))
    assert "empty is a directory" in refused(files=("empty",))
    assert "empty is a directory" in refused(archives=("empty",))
    (here / "a.zip").mkdir()
    assert "a.zip is a directory" in refused(jars=("a.zip",))


def test_a_pattern_means_the_files_that_match(here: Path) -> None:
    (here / "lib").mkdir()
    for name in ("b.jar", "a.jar", "c.txt", "[x].jar"):
        (here / "lib" / name).write_text(name)
    argv, files = content(jars=("lib/[ab].jar",), files=("lib/*.txt#t", "lib/[x].jar#x.jar"))
    assert [Path(one).name for one in argv[argv.index("--jars") + 1].split(",")] == ["a.jar", "b.jar"]
    assert files["files/t"] == b"c.txt" and files["files/x.jar"] == b"[x].jar"
    assert "lib/*.zip: no such file" in refused(archives=("lib/*.zip",))
    assert "2 files match" in refused(files=("lib/[ab].jar#one",))


def test_everything_wrong_is_named_at_once(here: Path) -> None:
    said = refused(jars=("no.jar",), files=("no.csv#x",), conf=("spark.master=x",), packages=("one",))
    assert [part in said for part in ("no.jar: no such", "no.csv: no such", "spark.master=x", "--packages one")] == [
        True
    ] * 4


def test_a_file_that_goes_while_it_is_looked_at_is_named(here: Path) -> None:
    (here / "a.jar").write_text("")
    _, parcel = local_look.look_here(Program(program="a.py", jars=("a.jar",)), ID)
    (here / "a.jar").unlink()
    with pytest.raises(ConfigError, match=r"a\.jar: this file cannot be read: No such file"):
        local_look.tar_of(parcel)


# --- files that settings name ---------------------------------------------------------------------


def test_class_paths_are_sent_and_those_of_the_image_stay(here: Path) -> None:
    (here / "lib").mkdir()
    (here / "conf").mkdir()
    for name in ("x.jar", "lib/y.jar", "conf/app.conf"):
        (here / name).write_text(name)
    argv, files = content(driver_class_path=f"x.jar:{here}/lib/*:conf:/opt/spark/jars/z.jar:/opt/other/u.jar")
    assert setting(argv, "spark.driver.extraClassPath") == (
        f"{PLACE}/x.jar:{PLACE}/lib/*:{PLACE}/conf:/opt/spark/jars/z.jar:/opt/other/u.jar"
    )
    assert sorted(files) == ["files/a.py", "files/conf/app.conf", "files/lib/y.jar", "files/x.jar"]
    assert "no such file or directory" in refused(conf=("spark.driver.extraClassPath=none.jar",))
    assert "would be sent with all" in refused(driver_class_path="x.jar:.")


def test_the_drivers_own_files_are_sent(here: Path) -> None:
    (here / "ivy.xml").write_text("<ivysettings/>")
    (here / "pools.xml").write_text("<allocations/>")
    argv, files = content(
        conf=("spark.jars.ivySettings=ivy.xml",), properties=(("spark.scheduler.allocation.file", "./pools.xml"),)
    )
    assert setting(argv, "spark.jars.ivySettings") == f"{PLACE}/ivy.xml"
    assert f"spark.scheduler.allocation.file = file://{PLACE}/pools.xml\n" in files["submit.properties"].decode()
    assert files["files/pools.xml"] == b"<allocations/>"
    assert "no such file" in refused(conf=("spark.jars.ivySettings=none.xml",))


@pytest.mark.parametrize("form", ["log.xml", "file:log.xml", "file://{here}/log.xml", "{here}/log.xml"])
@pytest.mark.parametrize("option", ["-Dlog4j2.configurationFile", "-Dlog4j.configurationFile"])
def test_a_drivers_log4j_file_is_sent_and_joins_ours(here: Path, form: str, option: str) -> None:
    (here / "log.xml").write_text("<Configuration/>")
    argv, files = content(driver_java_options=f"-Da='b c' {option}={form.format(here=here)}")
    assert setting(argv, "spark.driver.extraJavaOptions") == f'"-Da=b c" {option}={DRIVERS_LOG4J},{PLACE}/log.xml'
    assert files["files/log.xml"] == b"<Configuration/>"


def test_other_files_in_the_drivers_java_options_are_sent(here: Path) -> None:
    for name in ("agent.jar", "trust.p12"):
        (here / name).write_text("")
    argv, _ = content(
        conf=("spark.driver.extraJavaOptions=-javaagent:agent.jar=port=1 -Djavax.net.ssl.trustStore=trust.p12 -Dn=5",)
    )
    assert setting(argv, "spark.driver.extraJavaOptions") == (
        f"-javaagent:{PLACE}/agent.jar=port=1 -Djavax.net.ssl.trustStore={PLACE}/trust.p12 -Dn=5"
    )
    assert content(driver_java_options='-Da="b c"')[0][3] == 'spark.driver.extraJavaOptions=-Da="b c"', (
        "as it was typed"
    )
    (here / "rules").mkdir()
    assert "-Drules=./rules names a directory" in refused(driver_java_options="-Drules=./rules")
    assert "No closing quotation" in refused(driver_java_options="-Da='b")
    assert "Spark 4 does not read -Dlog4j.configuration" in refused(driver_java_options="-Dlog4j.configuration=x")


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ("spark.executor.extraClassPath=f.jar", "--jars sends a jar"),
        ("spark.executor.extraJavaOptions=-Da=b -Dlog4j2.configurationFile=file:f.xml", "spark.log.level"),
        ("spark.metrics.conf=f.xml", "spark.metrics.conf.NAME=VALUE"),
        ("spark.pyspark.python={here}/f.py", "worker.requirements"),
        ("spark.ssl.keyStore=./f.p12", "SparkFiles.get"),
        ("spark.hadoop.fs.gs.auth.service.account.json.keyfile={here}/f.json", "invoke put"),
        ("spark.executorEnv.SETTINGS={here}/f.json", "invoke put"),
        ("spark.some.list=/a/b,{here}/f.xml", "a file of this computer"),
        ("spark.my.table=codes.csv", "a file of this computer"),
        ("spark.my.models=./models", "a directory of this computer"),
        ("spark.my.models=~/models", "a directory of this computer"),
        ("spark.my.models=~root/", "a directory of this computer"),
        ("spark.pyspark.python=./models/python", "--archives env.tar.gz#env"),
    ],
)
@pytest.mark.parametrize("field", ["conf", "properties"])
def test_a_setting_that_names_a_file_which_cannot_be_sent_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, conf: str, said: str, field: str
) -> None:
    for name in ("f.jar", "f.xml", "f.py", "f.p12", "f.json", "codes.csv"):
        (here / name).write_text("")
    (here / "models").mkdir()
    (here / "models" / "python").write_text("")
    monkeypatch.setenv("HOME", str(here))
    text = conf.format(here=here)
    more: dict[str, Any] = {"conf": (text,)} if field == "conf" else {"properties": (tuple(text.split("=", 1)),)}
    assert said in refused(**more)


@pytest.mark.parametrize(
    "conf",
    [
        "spark.sql.shuffle.partitions=64",
        "spark.pyspark.python=./env/bin/python",
        "spark.pyspark.python=/usr/bin/python3",
        "spark.hadoop.x=/etc/hostname",
        "spark.eventLog.dir=hdfs://x/y",
        "spark.sql.warehouse.dir=/warehouse",
        "spark.a=local:/opt/x.jar",
        "spark.driver.extraClassPath=local:/opt/x.jar",
        "spark.b=64",
        "spark.x=~",
        "spark.separators=|,~",
        "spark.y=~root",
    ],
)
def test_a_value_that_is_no_file_of_this_computer_stays_as_it_is(here: Path, conf: str) -> None:
    (here / "64").write_text("a file that is called as a value")
    assert conf in content(conf=(conf,))[0]


def test_a_path_inside_an_archive_that_is_sent_is_the_executors_though_it_is_here_too(here: Path) -> None:
    (here / "env").mkdir()
    for name in ("env/python", "env.tar.gz", "codes.csv"):
        (here / name).write_text("")
    conf = ("spark.pyspark.python=./env/python", "spark.my.table=codes.csv", "spark.executorEnv.HOME=./env")
    argv = content(conf=conf, archives=("env.tar.gz#env",), files=("codes.csv",))[0]
    assert set(conf) <= set(argv)


def test_a_file_that_is_sent_to_executors_too_has_its_place_in_the_drivers_java_options(here: Path) -> None:
    for name in ("app.conf", "agent.jar", "log.xml"):
        (here / name).write_text("")
    words = "-Dconfig.file=app.conf -javaagent:./agent.jar=a -Dlog4j2.configurationFile=log.xml"
    argv, files = content(files=("app.conf", "agent.jar", "log.xml"), driver_java_options=words)
    assert setting(argv, "spark.driver.extraJavaOptions") == (
        f"-Dconfig.file={PLACE}/app.conf -javaagent:{PLACE}/agent.jar=a "
        f"-Dlog4j2.configurationFile={DRIVERS_LOG4J},{PLACE}/log.xml"
    )
    assert {"files/app.conf", "files/agent.jar", "files/log.xml"} <= set(files)


def test_files_that_settings_name_are_looked_at_as_those_of_flags(here: Path) -> None:
    (here / "lib").mkdir()
    for name in ("lib/a.jar", "lib/b.jar"):
        (here / name).write_text("")
    argv = content(conf=("spark.jars=lib/*.jar",))[0]
    assert argv[argv.index("--jars") + 1] == f"{PLACE}/a.jar,{PLACE}/b.jar"
    said = refused(conf=("spark.files=no.csv",), properties=(("spark.jars", "no.jar"),))
    assert "no.csv: no such file" in said and "no.jar: no such file" in said


def test_what_is_no_place_of_modules_is_refused(here: Path) -> None:
    for name in ("m.py", "env.tar.gz", "codes.csv"):
        (here / name).write_text("")
    for name in ("env.tar.gz", "codes.csv", "hdfs://x/m.tgz"):
        assert "Spark takes .py, .zip and .egg" in refused(py_files=(name,))
    assert "the name behind # counts for --files and --archives" in refused(py_files=("m.py#n",))


# --- looked at before it is sent ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"jars": ("none.jar",)}, ConfigError),
        ({"conf": ("spark.executor.memory=4g",)}, ConfigError),
        ({"conf": ("spark.metrics.conf=./a.py",)}, ConfigError),
        ({"driver_memory_mib": 10**6}, ConfigError),
        ({"cores": 2, "num_executors": 4}, ConfigError),
    ],
)
def test_nothing_is_called_sending_that_is_not_sent(
    here: Path, manager: Manager, more: dict[str, Any], kind: type[ClusterError]
) -> None:
    with pytest.raises(kind):
        submit.submit(
            manager.session,
            Program(program="a.py", **more),
            output=lambda _stream, _data: None,
            detach=True,
            take_all=False,
            timeout_s=5,
        )
    assert not [line for line in manager.said if "sending" in line]
    assert not list(manager.apps.glob("*")) and not manager.engine.drivers


def test_what_is_sent_is_on_the_manager_as_the_words_name_it(here: Path, manager: Manager) -> None:
    (here / "data.csv").write_text("1\n")
    program = Program(program="a.py", files=("data.csv#t.csv",), properties=(("spark.a", "b"),), num_executors=1)
    sent = submit.submit(
        manager.session, program, output=lambda _stream, _data: None, detach=True, take_all=False, timeout_s=5
    )
    folder = manager.apps / sent.text
    argv = json.loads((folder / "app.json").read_text())["argv"]
    place = f"/data/spark/apps/{sent.text}"
    assert argv[:3] == ["--properties-file", f"{place}/submit.properties", "--load-spark-defaults"]
    assert f"{place}/files/t.csv" in argv and "spark.cores.max=2" in argv
    assert (folder / "files" / "t.csv").read_text() == "1\n"
    assert (folder / "submit.properties").read_text() == "spark.a = b\n"
    assert (folder / "submit.properties").stat().st_mode & 0o007 == 0
    assert manager.said[0] == f"{sent.text}: sending a.py"


# --- arguments ------------------------------------------------------------------------------------


def test_an_argument_that_looks_like_a_file_of_this_computer_gets_a_hint_and_goes_as_it_is(
    here: Path, manager: Manager
) -> None:
    (here / "in").mkdir()
    (here / "in" / "data.csv").write_text("")
    words = (
        "in/data.csv",
        f"--to={here}/in/data.csv",
        "./out",
        "~/none.csv",
        "in",
        "/data/books",
        "20",
        "hdfs://x/a.py",
    )
    sent = submit.submit(
        manager.session,
        Program(program="a.py", arguments=words),
        output=lambda _stream, _data: None,
        detach=True,
        take_all=False,
        timeout_s=5,
    )
    hints = [line for line in manager.said if "looks like a path of this computer" in line]
    assert [line.split()[0] for line in hints] == ["in/data.csv", f"{here}/in/data.csv", "./out", "~/none.csv"]
    assert "`invoke put in/data.csv /user/spark/data.csv` copies it, and the argument is data.csv then" in hints[0]
    assert tuple(json.loads((manager.apps / sent.text / "app.json").read_text())["argv"][-8:]) == words


def test_what_is_sent_with_files_needs_no_hint(here: Path) -> None:
    (here / "data.csv").write_text("")
    program = Program(program="a.py", files=("data.csv#t.csv",), arguments=("data.csv", "t.csv"))
    (hint,) = local_look.hints(program, "/user/ann")
    assert hint == (
        "data.csv is a file of this computer too; the program gets /user/ann/data.csv. "
        "`invoke put data.csv /user/ann/data.csv` copies it there"
    )
    assert local_look.hints(Program(program="a.py", files=("data.csv",), arguments=("data.csv",)), "/user/ann") == []


def test_the_python_of_an_archive_in_a_variable_gets_the_setting_that_counts(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "./env/bin/python")
    program = Program(program="a.py", archives=("env.tar.gz#env",))
    (hint,) = local_look.hints(program, "/user/ann")
    assert "`--conf spark.pyspark.python=./env/bin/python`" in hint
    assert local_look.hints(replace(program, conf=("spark.pyspark.python=./env/bin/python",)), "/user/ann") == []
    assert local_look.hints(Program(program="a.py", archives=("other.zip",)), "/user/ann") == []
    monkeypatch.setenv("PYSPARK_PYTHON", "/usr/bin/python3")
    assert local_look.hints(program, "/user/ann") == []


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("my data.csv", "`invoke put 'my data.csv' '/user/ann/my data.csv'`"),
        ("--input=./my data.csv", "`invoke put './my data.csv' '/user/ann/my data.csv'`"),
        ("file:{here}/my%20data.csv", "`invoke put '{here}/my data.csv' '/user/ann/my data.csv'`"),
        ("~/none.csv", "`invoke put ~/none.csv /user/ann/none.csv`"),
    ],
)
def test_a_hint_has_a_line_that_a_shell_reads_as_it_is_meant(here: Path, argument: str, line: str) -> None:
    (here / "my data.csv").write_text("")
    program = Program(program="a.py", arguments=(argument.format(here=here),))
    (hint,) = local_look.hints(program, "/user/ann")
    assert line.format(here=here) in hint


@pytest.mark.parametrize(
    ("name", "line"),
    [("my q.sql", "`invoke sql -f 'my q.sql'`"), ("my book.ipynb", "`invoke notebook './my book.ipynb'`")],
)
def test_the_way_to_run_another_file_is_a_line_for_a_shell(here: Path, name: str, line: str) -> None:
    (here / name).write_text("")
    with pytest.raises(ConfigError) as caught:
        local_look.look_here(Program(program=name), ID)
    assert line in str(caught.value)
