"""config/requirements.py: which pip requirements are taken, and which are refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs.config.loading import load_config
from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.reading import Fault
from sparkqfs.config.requirements import check_requirement, package_name
from sparkqfs.errors import ConfigError, ExitCode, Problem

NODE = "nodes: {node1: 192.168.1.11}\n"


def load(folder: Path, text: str) -> ClusterConfig:
    (folder / "hosts.yml").write_text(NODE + text)
    return load_config(folder / "hosts.yml", {})


def faults(folder: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.problems


@pytest.mark.parametrize(
    "text",
    [
        "polars",
        "polars==1.9.0",
        "polars >=1.0, <2",
        "scikit-learn~=1.5",
        "ruamel.yaml (>=0.18)",
        "pandas[parquet, excel]!=2.2.*",
        "tomli>=2; python_version < '3.11'",
        "mine @ https://packages.example/mine-1.0-py3-none-any.whl",
        "polars==1.9.0 --hash=sha256:" + "0a" * 32,
    ],
)
def test_a_requirement_of_pip_is_taken_as_it_is(text: str) -> None:
    assert check_requirement(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("polars=1.9.0", "is not a requirement of pip"),
        ("polars 1.9.0", "is not a requirement of pip"),
        ("polars; rm -rf / \\", "is not a requirement of pip"),
        ("$(id)", "is not a requirement of pip"),
        ("./mine.whl", "is not a requirement of pip"),
        ("", "is not a requirement of pip"),
        ("--index-url https://packages.example/simple", "is an option of pip"),
        ("-r more.txt", "is an option of pip"),
        ("PySpark==3.5.0", "pyspark is Spark itself"),
        ("pip", "what installs the packages"),
        ("mine @ file:///tmp/mine.whl", "must start with http:// or https://"),
        ("mine @ https://[", "the address in"),
    ],
)
def test_what_is_no_requirement_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Fault) as caught:
        check_requirement(text)
    assert why in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Fault) as caught:
        check_requirement("mine @ https://me:hunter2@packages.example/mine.whl")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["Sea_Born", "sea.born[x]>1", "sea-born @ https://a.example/b"])
def test_names_are_compared_as_pip_compares_them(name: str) -> None:
    assert package_name(name) == "sea-born"


def test_lists_are_taken_for_workers_and_for_jupyter(tmp_path: Path) -> None:
    config = load(tmp_path, "worker: {requirements: [polars==1.9.0]}\njupyter:\n  requirements:\n    - seaborn\n")
    assert (config.worker.requirements, config.jupyter.requirements) == (("polars==1.9.0",), ("seaborn",))


def test_a_file_is_read_without_comments_and_with_its_lines_joined(tmp_path: Path) -> None:
    digest = "0a" * 32
    (tmp_path / "more.txt").write_text(f"# ours\n\npolars==1.9.0 \\\n    --hash=sha256:{digest}\nseaborn  # plots\n")
    config = load(tmp_path, "worker: {requirements: more.txt}\n")
    assert config.worker.requirements == (f"polars==1.9.0 --hash=sha256:{digest}", "seaborn")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("polars==1.9.0\n", encoding="utf-8-sig")
    assert load(tmp_path, "worker: {requirements: more.txt}\n").worker.requirements == ("polars==1.9.0",)


def test_bad_lines_name_the_place(tmp_path: Path) -> None:
    found = faults(tmp_path, "worker:\n  requirements:\n    - polars\n    - a=1\n    - [x]\n")
    assert [(problem.line, problem.config_path) for problem in found] == [
        (5, "worker.requirements[1]"),
        (6, "worker.requirements[2]"),
    ]
    (tmp_path / "more.txt").write_text("polars\n\n-e .\nb=2\n")
    found = faults(tmp_path, "jupyter: {requirements: more.txt}\n")
    assert [problem.config_path for problem in found] == ["jupyter.requirements"] * 2
    assert found[0].what.startswith("more.txt, line 3: ") and found[1].what.startswith("more.txt, line 4: ")


def test_a_name_in_place_of_a_list_gets_the_hint(tmp_path: Path) -> None:
    [problem] = faults(tmp_path, "worker: {requirements: polars}\n")
    assert problem.what == "cannot read polars: No such file or directory"
    assert problem.hint == "requirements themselves are a list: [polars, pyarrow>=15]"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (2**20 + 1)])
def test_a_file_that_is_no_list_of_requirements_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "more.txt").write_bytes(content)
    [problem] = faults(tmp_path, "worker: {requirements: more.txt}\n")
    assert problem.config_path == "worker.requirements"
