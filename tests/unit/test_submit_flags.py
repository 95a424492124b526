"""What spark-submit's users type: flags, settings and sizes become spark-submit's words, or are refused with a way."""

from __future__ import annotations

import pytest

from sparkqfs.cli.submitting import memory_of, number_of, one_of, settings_in
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.facts.pages import WorkerFact
from sparkqfs.jobs.programs.local_look import expand
from sparkqfs.plan.programs.fits import driver_size, fit_executors
from sparkqfs.plan.programs.parcel import Parcel, pack, wrong_words
from sparkqfs.plan.programs.properties import as_properties, parse_properties
from sparkqfs.plan.programs.refused import REFUSED_SETTINGS
from sparkqfs.plan.programs.settings import NUMBERS, SIZES, masked
from sparkqfs.plan.programs.user import Program, is_uri, local_path
from sparkqfs.plan.sizes import mebibytes
from tests.builders.apps import ID, PLACE

DEFAULTS = {"spark.executor.cores": "2", "spark.executor.memory": "1024m", "spark.deploy.defaultCores": "4"}
WORKERS = (WorkerFact(host="10.0.0.1", cores=4, memory_mib=2048), WorkerFact(host="10.0.0.2", cores=4, memory_mib=2048))


def packed(**more: object) -> Parcel:
    return pack(Program(program="a.py", **more), ID)  # type: ignore[arg-type]


def value_of(parcel: Parcel, flag: str) -> str:
    return parcel.argv[parcel.argv.index(flag) + 1]


def confs(parcel: Parcel) -> dict[str, str]:
    words = parcel.argv
    return dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--conf")


def faults_of(**more: object) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        packed(**more)
    return list(caught.value.problems)


# --- packages -------------------------------------------------------------------------------------


def test_packages_and_repositories_are_passed_on() -> None:
    parcel = packed(
        packages=("org.x:y_2.13:1.0", "a/b:2"), exclude_packages=("c:d",), repositories=("https://r.example/m2",)
    )
    assert value_of(parcel, "--packages") == "org.x:y_2.13:1.0,a/b:2"
    assert value_of(parcel, "--exclude-packages") == "c:d"
    assert value_of(parcel, "--repositories") == "https://r.example/m2"


def test_blanks_between_packages_of_a_setting_do_not_matter() -> None:
    text = "org.x:y:1, org.x:z:2"
    assert confs(packed(conf=(f"spark.jars.packages={text}",))) == {"spark.jars.packages": "org.x:y:1,org.x:z:2"}
    parcel = packed(properties=(("spark.jars.excludes", "a:b,  c:d"),))
    assert parse_properties(parcel.properties) == {"spark.jars.excludes": "a:b,c:d"}


@pytest.mark.parametrize("text", ["file:///home/ann/.m2/repository", "file:/home/ann/.m2/repository"])
def test_a_repository_of_this_computer_is_refused(text: str) -> None:
    for more in ({"repositories": ("https://r.example", text)}, {"conf": (f"spark.jars.repositories= {text} ,",)}):
        (fault,) = wrong_words(Program(program="a.py", **more))
        assert fault.what == f"{text}: a repository of this computer, which the cluster does not see"
    assert packed(repositories=("file:///data/shared/m2",)).files == {"a.py": "a.py"}


@pytest.mark.parametrize("text", ["postgresql", "org.postgresql:postgresql", "a:b:c:d", "a::1", "a:b:1 2"])
def test_what_maven_cannot_find_is_refused_before_it_starts(text: str) -> None:
    (fault,) = faults_of(packages=(text,))
    assert fault.what == f"--packages {text}: expected group:artifact:version"


@pytest.mark.parametrize(
    ("text", "what", "way"),
    [
        ("org.x:y_2.12:1.0", "it is for Scala 2.12, and Spark here has 2.13", "org.x:y_2.13:1.0"),
        ("org.x/y_2.11:1.0", "it is for Scala 2.11, and Spark here has 2.13", "org.x/y_2.13:1.0"),
        ("io.delta:delta-spark_2.13:4.0.0", "Delta comes with the images", "`spark.delta: true`"),
        ("io.delta:delta-core_2.12:2.4.0", "Delta comes with the images", "`spark.delta: true`"),
    ],
)
def test_a_package_that_does_not_go_with_this_spark_is_one_sentence(text: str, what: str, way: str) -> None:
    (fault,) = faults_of(packages=(text,))
    assert fault.what.startswith(f"--packages {text}: {what}") and fault.hint is not None and way in fault.hint
    said = [fault.what for fault in faults_of(conf=(f"spark.jars.packages={text}",))]
    assert said[0].startswith(f"spark.jars.packages: {text}: {what}")


@pytest.mark.parametrize("text", ["io.delta:delta-sharing-spark_2.13:1.3.0", "org.io.delta:delta-spark_2.13:4.0.0"])
def test_what_only_sounds_like_delta_is_a_package_like_others(text: str) -> None:
    assert wrong_words(Program(program="app.py", packages=(text,))) == []


@pytest.mark.parametrize(
    ("program", "way"),
    [
        ("app.ipynb", "`invoke notebook ./app.ipynb`"),
        ("in/app.ipynb", "`invoke notebook in/app.ipynb`"),
        ("all.sql", "`invoke sql -f all.sql`"),
        ("app.scala", "ends with .py"),
    ],
)
def test_a_file_that_spark_does_not_run_is_told_what_does(program: str, way: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pack(Program(program=program), ID)
    (fault,) = caught.value.problems
    assert fault.hint is not None and way in fault.hint


# --- files ----------------------------------------------------------------------------------------


def test_a_file_goes_under_the_name_behind_its_mark() -> None:
    parcel = packed(files=("in/data.csv#table.csv", "plain.txt"))
    assert value_of(parcel, "--files") == f"{PLACE}/table.csv,{PLACE}/plain.txt"
    assert parcel.files == {"table.csv": "in/data.csv", "plain.txt": "plain.txt", "a.py": "a.py"}


def test_an_archive_keeps_its_name_and_is_unpacked_as_the_one_behind_its_mark() -> None:
    parcel = packed(archives=("env.tar.gz#env", "hdfs://x/y.zip#y", "b.zip", "my env.tgz#other"))
    assert value_of(parcel, "--archives").split(",") == [
        f"{PLACE}/env.tar.gz#env",
        "hdfs://x/y.zip#y",
        f"{PLACE}/b.zip",
        f"{PLACE}/archive-2.tgz#other",
    ]
    assert parcel.files["archive-2.tgz"] == "my env.tgz"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"files": ("hdfs://x/a.csv#b",)}, "of a URI Spark keeps the name"),
        ({"files": ("a.csv#b/c",)}, "the name behind # is a plain one"),
        ({"files": ("a.csv#..",)}, "the name behind # is a plain one"),
        ({"archives": ("env.tar.gz#",)}, "the name behind # is a plain one"),
        ({"archives": ("env.rar",)}, "Spark unpacks .zip, .jar, .tar, .tar.gz and .tgz"),
        ({"files": ("a.csv#t", "b.csv#t")}, "two files are called t"),
        ({"jars": ("odd#name.jar",)}, "Spark reads what follows #"),
        ({"files": ("x[1].csv",)}, "--files x[1].csv: Spark does not find a file with [ in its name"),
        ({"files": ("x].csv",)}, "--files x].csv: Spark does not find a file with ] in its name"),
        ({"jars": ("a.jar", "x{1}.jar")}, "--jars x{1}.jar: Spark does not find a file with { in its name"),
        ({"py_files": ("a?b.py",)}, "Spark does not find a file with ? in its name"),
        ({"archives": ("10:15.zip",)}, "--archives 10:15.zip: Spark does not find a file with : in its name"),
        ({"archives": ("a.zip#env", "b.zip#env")}, "--archives b.zip#env: a.zip#env is unpacked as env too"),
        ({"archives": ("in/a.zip", "hdfs://x/a.zip")}, "in/a.zip is unpacked as a.zip too"),
    ],
)
def test_a_name_that_spark_would_not_give_is_refused(more: dict[str, object], said: str) -> None:
    assert any(said in fault.what for fault in faults_of(**more))


def test_an_archive_of_any_other_name_is_unpacked_under_that_name() -> None:
    archives = ("my env.zip", "50%.tgz", "ü (1).zip")
    assert value_of(packed(archives=archives), "--archives") == ",".join(f"{PLACE}/{one}" for one in archives)


def test_a_name_that_spark_does_not_find_goes_under_another_one() -> None:
    assert value_of(packed(files=("x[1].csv#x.csv",)), "--files") == f"{PLACE}/x.csv"
    assert value_of(packed(archives=("x[1].zip#x",)), "--archives") == f"{PLACE}/archive-0.zip#x"
    pack(
        Program(program="a.py", jars=("x[ab].jar",)), ID, lambda path: "file" if path == "a.py" else ""
    )  # no such file
    (fault,) = faults_of(files=("my x[1].csv",))
    assert fault.hint == "give it another one there, as in 'my x[1].csv#data.csv', or rename the file"
    assert packed(jars=("hdfs://x/a{1,2}.jar",)).files == {"a.py": "a.py"}, "Spark's own pattern"


def test_one_file_that_is_named_twice_is_one() -> None:
    parcel = packed(jars=("lib/x.jar", "./lib/x.jar"), driver_class_path="lib/x.jar")
    assert parcel.files == {"x.jar": "lib/x.jar", "a.py": "a.py"}
    assert confs(parcel)["spark.driver.extraClassPath"] == f"{PLACE}/x.jar"


@pytest.mark.parametrize(
    ("text", "uri", "path"),
    [
        ("s3a://b/x.jar", True, "s3a://b/x.jar"),
        ("local:/opt/x.jar", True, "local:/opt/x.jar"),
        ("file:///home/me/x%20y.jar", False, "/home/me/x y.jar"),
        ("file:/home/me/x.jar", False, "/home/me/x.jar"),
        ("file:///data/shared/x.jar", True, "/data/shared/x.jar"),
        ("x.jar", False, "x.jar"),
    ],
)
def test_a_file_address_is_a_file_of_this_computer_but_for_the_containers_mounts(
    text: str, uri: bool, path: str
) -> None:
    assert (is_uri(text), local_path(text)) == (uri, path)


# --- settings -------------------------------------------------------------------------------------


def test_flags_take_precedence_over_conf_and_conf_over_the_properties_file() -> None:
    parcel = packed(
        executor_memory_mib=2048,
        driver_memory_mib=1000,
        conf=("spark.executor.memory=1g", "spark.driver.memory=4g", "spark.a=conf", "spark.b=conf"),
        properties=(("spark.a", "file"), ("spark.c", "file"), ("spark.executor.memory", "9g")),
    )
    assert confs(parcel) == {"spark.executor.memory": "2048m", "spark.a": "conf", "spark.b": "conf"}
    assert value_of(parcel, "--driver-memory") == "1000m"
    assert parse_properties(parcel.properties) == {"spark.c": "file"}


def test_the_properties_are_in_a_file_because_they_may_be_secret() -> None:
    parcel = packed(properties=(("spark.hadoop.fs.s3a.secret.key", "hidden"),))
    assert "hidden" not in " ".join(parcel.argv) and "hidden" in parcel.properties
    place = f"{PLACE.removesuffix('/files')}/submit.properties"
    assert parcel.argv[:3] == ("--properties-file", place, "--load-spark-defaults")


def test_settings_name_files_as_flags_do_and_a_flag_wins() -> None:
    parcel = packed(
        conf=("spark.jars=a.jar,b.jar", "spark.archives=e.zip#e"),
        properties=(("spark.files", "x.csv"),),
        jars=("c.jar",),
    )
    assert value_of(parcel, "--jars") == f"{PLACE}/c.jar"
    assert value_of(parcel, "--files") == f"{PLACE}/x.csv"
    assert value_of(parcel, "--archives") == f"{PLACE}/e.zip#e"
    assert confs(parcel) == {} and parcel.properties == ""


@pytest.mark.parametrize(
    "name", ["spark.metrics.conf.*.sink.jmx.class", "spark.hadoop.a:b", "spark.hadoop.fs.x/y", "spark.ä"]
)
def test_a_setting_of_any_name_is_one(name: str) -> None:
    assert confs(packed(conf=(f"{name}=x",))) == {name: "x"}


@pytest.mark.parametrize("text", ["spark.a", "spark.=x", "spark.a b=x", "spark. a=x", "hive.x=y", "=x"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    assert [fault.what for fault in faults_of(conf=(text,))] == [f"--conf {text}: expected spark.NAME=VALUE"]


@pytest.mark.parametrize("value", ["\n\n", "\t", " ", " ; ", "", "a\n"])
def test_blanks_and_line_ends_of_a_setting_are_its_value(value: str) -> None:
    name = "spark.hadoop.textinputformat.record.delimiter"
    assert confs(packed(conf=(f"{name}={value}",))) == {name: value}


def test_blanks_around_a_number_or_a_size_do_not_matter() -> None:
    conf = ("spark.executor.instances= 2 ", "spark.executor.memory= 1g", "spark.dynamicAllocation.enabled=false")
    assert fitted(conf=conf)[0].cores == 4
    assert fitted(conf=(*conf[:1], "spark.dynamicAllocation.enabled= TRUE"))[0].cores is None


def test_an_archive_in_a_setting_that_sends_none_is_refused() -> None:
    program = Program(program="a.py", conf=("spark.yarn.dist.archives=env.tar.gz#env",))
    with pytest.raises(ConfigError) as caught:
        pack(program, ID, lambda path: "file" if path in ("env.tar.gz", "a.py") else "")
    (fault,) = caught.value.problems
    assert fault.what.startswith("spark.yarn.dist.archives names env.tar.gz#env, a file of this computer")
    assert fault.hint == "that is for YARN; here --archives FILE#NAME sends an archive"
    assert pack(Program(program="a.py", conf=("spark.x=words#more",)), ID).files == {"a.py": "a.py"}


def test_the_drivers_python_is_in_no_archive() -> None:
    (fault,) = faults_of(archives=("env.tgz#env",), conf=("spark.pyspark.driver.python=./env/bin/python",))
    assert "archives are unpacked for executors" in fault.what
    assert fault.hint == "for executors alone: --conf spark.pyspark.python=./env/bin/python"
    packed(archives=("env.tgz#env",), conf=("spark.pyspark.python=./env/bin/python",))


def test_the_name_may_be_a_setting() -> None:
    assert packed(conf=("spark.app.name=mine",)).name == "mine"
    assert packed(properties=(("spark.app.name", "mine"),)).argv[3:5] == ("--name", "mine")
    assert packed(conf=("spark.app.name=mine",), name="other").name == "other"


@pytest.mark.parametrize("name", sorted(REFUSED_SETTINGS))
@pytest.mark.parametrize("field", ["conf", "properties"])
def test_a_setting_that_cannot_be_says_the_way(name: str, field: str) -> None:
    given: dict[str, object] = {"conf": (f"{name}=x",)} if field == "conf" else {"properties": ((name, "x"),)}
    (fault,) = faults_of(**given)
    assert fault.what == f"{name}=x cannot be: {REFUSED_SETTINGS[name]}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"driver_memory_mib": 449}, "spark.driver.memory is 449m: Spark does not start with less than 450m"),
        ({"executor_memory_mib": 100}, "spark.executor.memory is 100m"),
        ({"conf": ("spark.executor.memory=300M",)}, "spark.executor.memory is 300M"),
        ({"driver_java_options": "-Da=b -Xmx2g"}, "use `--driver-memory`"),
        ({"conf": ("spark.executor.extraJavaOptions=-Xmx2g",)}, "use `--executor-memory`"),
    ],
)
def test_what_spark_fails_with_at_its_start_is_refused(more: dict[str, object], said: str) -> None:
    (fault,) = faults_of(**more)
    assert said in fault.what


@pytest.mark.parametrize("text", ["2gb", "2G", "2048", "2048m", "2097152k", "2147483648b"])
def test_a_heap_reaches_the_jvm_as_it_reads_it(text: str) -> None:
    assert confs(packed(conf=(f"spark.driver.memory={text}",))) == {"spark.driver.memory": "2048m"}
    program = Program(program="a.py", properties=(("spark.driver.memory", text),))
    assert driver_size(program, {}).heap_mib == 2048
    assert parse_properties(pack(program, ID).properties) == {"spark.driver.memory": "2048m"}


def test_secrets_are_not_shown() -> None:
    assert masked("spark.hadoop.fs.s3a.secret.key=x") == "spark.hadoop.fs.s3a.secret.key=****"
    assert masked("spark.a=x") == "spark.a=x" and masked("password=x") == "password=x"


# --- properties files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("spark.jars.repositories=https://me:hidden@host/m2", "spark.jars.repositories=https://me:****@host/m2"),
        ("https://me:hidden@host:8443/m2", "https://me:****@host:8443/m2"),
        ("spark.driver.extraJavaOptions=-Dkey.password=hidden", "spark.driver.extraJavaOptions=****"),
        (
            "spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:x?password=hidden",
            "spark.hadoop.javax.jdo.option.ConnectionURL=****",
        ),
        ("https://host:8443/m2@1", "https://host:8443/m2@1"),
        ("spark.sql.shuffle.partitions=8", "spark.sql.shuffle.partitions=8"),
    ],
)
def test_a_password_in_a_value_or_in_an_address_is_not_shown(word: str, shown: str) -> None:
    assert masked(word) == shown


def test_a_pattern_in_the_home_of_nobody_is_said() -> None:
    text = "~nobody-has-this-name/x*.jar"
    with pytest.raises(ConfigError) as caught:
        expand(Program(program="app.py", jars=(text,)))
    assert caught.value.exit_code == 2 and text in str(caught.value)
    plain = Program(program="app.py", jars=("~nobody-has-this-name/x.jar",))
    assert expand(plain) == plain, "what is no pattern is looked at with all other files"


def test_a_properties_file_is_read_as_java_reads_it() -> None:
    text = (
        "# one\n! two\n\nspark.a 1\nspark.b=2 \n  spark.c : x=y\nspark.d = one \\\n   two\\\\\n"
        "spark.e\\ f = t\\tab\\u00fc\nspark.g\nspark.a = 3\r\nspark.h=\\ kept"
    )
    assert parse_properties(text) == {
        "spark.a": "3",
        "spark.b": "2",
        "spark.c": "x=y",
        "spark.d": "one two\\",
        "spark.e f": "t\tabü",
        "spark.g": "",
        "spark.h": "kept",
    }


@pytest.mark.parametrize("text", ["spark.a=\\u12", "spark.a=\\uzzzz"])
def test_a_damaged_escape_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="four hexadecimal digits"):
        parse_properties(text)


@pytest.mark.parametrize("value", ["", "=a", ":a", "a=b:c", "C:\\x", "two\nlines", "tab\there", "ü#!", "\\u0041"])
def test_what_is_written_is_read_again(value: str) -> None:
    assert parse_properties(as_properties({"spark.x": value, "spark.y": "1"})) == {"spark.x": value, "spark.y": "1"}


@pytest.mark.parametrize(
    "name", ["spark.a b", "spark.a:b", "spark.a=b", "spark.a\\b", "spark.a\tb", "spark.conf.*.x", "spark.ü"]
)
def test_a_name_that_is_written_is_read_again(name: str) -> None:
    assert parse_properties(as_properties({name: "x = y", "spark.y": "1"})) == {name: "x = y", "spark.y": "1"}


def test_settings_of_others_are_left_out_and_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("conf") / "my.properties"
    file.write_text("spark.a 1\nlog4j.x=2\n")
    said: list[str] = []
    assert settings_in(str(file), said.append) == (("spark.a", "1"),)
    assert "log4j.x left out" in said[0]
    file.write_text("spark.a 1\n", encoding="utf-8-sig")
    assert settings_in(str(file), said.append) == (("spark.a", "1"),) and len(said) == 1
    with pytest.raises(ConfigError, match="No such file"):
        settings_in(str(file) + "x", said.append)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mib"),
    [("2G", 2048), ("1000M", 1000), ("512k", 0), ("1024", 1024), ("2gb", 2048), ("1T", 1024**2), ("1p", 1024**3)],
)
def test_sizes_are_read_as_spark_reads_them(text: str, mib: int) -> None:
    assert mebibytes(text) == mib


@pytest.mark.parametrize("text", ["1.5g", "2 g", "g", "", "-1g", "2x", "12bb", "2gib", "²g"])
def test_what_spark_does_not_read_is_no_size(text: str) -> None:
    assert mebibytes(text) is None


def test_bytes_are_bytes_where_spark_means_them() -> None:
    assert mebibytes("2147483648", "b") == mebibytes("2147483648b") == 2048


@pytest.mark.parametrize("text", ["2", "lots", "1.5g", "1073741824"])
def test_a_memory_that_is_none_is_said_with_its_flag(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--executor-memory {text}"):
        memory_of("--executor-memory", text)


def test_a_number_without_a_unit_that_is_too_small_is_told_the_size_that_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        memory_of("--driver-memory", "4")
    (problem,) = caught.value.problems
    assert problem.what == "--driver-memory 4: 4 is 4 MiB, and Spark needs at least 450" and problem.hint == "write 4g"
    (fault,) = faults_of(conf=("spark.executor.memory=4",))
    assert fault.hint == "a number without a unit is MiB: write 4g"


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(("value", "hint"), [("abc", None), ("4GiB", "write 4g"), ("1.5g", None), ("4 g", "write 4g")])
def test_a_setting_that_is_no_size_is_refused_before_anything_starts(name: str, value: str, hint: str | None) -> None:
    (fault,) = faults_of(conf=(f"{name}={value}",))
    assert (fault.what, fault.hint) == (f"--conf {name}={value}: expected a size, such as 4g or 512m", hint)
    assert faults_of(properties=((name, value),)) == [fault]
    packed(conf=(f"{name}=4g",))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", ""])
def test_a_setting_that_is_no_number_is_refused_before_anything_starts(name: str, value: str) -> None:
    (fault,) = faults_of(conf=(f"{name}={value}",))
    assert fault.what == f"--conf {name}={value}: must be 1 or more"


def test_numbers_and_flags_that_mean_the_same() -> None:
    assert number_of("--num-executors", "3") == 3
    for text in ("0", "x", "-1", "1.5", "٣"):
        with pytest.raises(ConfigError, match="--num-executors"):
            number_of("--num-executors", text)
    assert one_of(("--cores", None), ("--total-executor-cores", "4")) == "4"
    assert one_of(("--cores", "4"), ("--total-executor-cores", "4")) == "4"
    with pytest.raises(ConfigError, match="they mean the same"):
        one_of(("--cores", "2"), ("--total-executor-cores", "4"))


# --- executors ------------------------------------------------------------------------------------


def fitted(**more: object) -> tuple[Program, tuple[str, ...]]:
    return fit_executors(Program(program="a.py", **more), DEFAULTS, WORKERS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "cores"),
    [
        ({"num_executors": 2}, 4),
        ({"num_executors": 1, "executor_cores": 4}, 4),
        ({"conf": ("spark.executor.instances=3",)}, 6),
        ({"properties": (("spark.executor.instances", "3"), ("spark.executor.cores", "1"))}, 3),
        ({"num_executors": 2, "cores": 4}, 4),
        ({"conf": ("spark.executor.instances=3", "spark.cores.max=2")}, None),
        ({"conf": ("spark.executor.instances=3", "spark.dynamicAllocation.enabled=true")}, None),
    ],
)
def test_a_number_of_executors_becomes_cores(more: dict[str, object], cores: int | None) -> None:
    assert fitted(**more)[0].cores == cores


def test_cores_and_executors_that_contradict_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--num-executors 2 is 4 cores, but .* asks for 6"):
        fitted(num_executors=2, cores=6)


def test_more_executors_than_there_are_is_said() -> None:
    program, notes = fitted(num_executors=9)
    assert program.cores == 18 and notes == (
        "--num-executors 9: the workers hold 4 of 2 cores and 1024 MiB; it gets those",
    )


def test_an_executor_of_a_flags_size_must_fit() -> None:
    with pytest.raises(ConfigError, match="an executor of 2 cores and 4096 MiB fits on none"):
        fitted(executor_memory_mib=4096)
    with pytest.raises(ConfigError, match="an executor of 5 cores"):
        fitted(executor_cores=5)
