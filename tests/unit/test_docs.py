"""The documentation against the code: links, commands, flags, YAML, ports, JSON keys, daemon properties."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import pytest
import yaml
from invoke import Program
from invoke.exceptions import ParseError
from invoke.parser import Parser, ParserContext

from sparkqfs import topology
from sparkqfs.config.loading import load_config
from sparkqfs.config.model import SharedConfig, StorageConfig
from sparkqfs.errors import ExitCode
from sparkqfs.facts.fsck import BlockFact, CopyFact, DamagedFact, FsckFact
from sparkqfs.facts.scrub import ScrubFact
from sparkqfs.plan.services import single_services
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.watching.fsck import Report
from sparkqfs.report.doc_page import is_page, slug
from tests.builders.clusters import a_cluster
from tests.paths import ROOT, STACK
from tests.trees import tree_of, walk
from tests.unit.tables import paths_of, table_codes

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s(])(?:\.venv/bin/)?(invoke|sparkqfs)\s+(\S.*)$")
SHELL_LANGUAGES = ("sh", "bash", "shell", "console", "")


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_YAML = [page for page in PAGES if "```yaml" in page.read_text(encoding="utf-8")]


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of each fenced block."""
    return FENCE.findall(text)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", text)


def candidates(text: str) -> Iterator[str]:
    """Each piece of code that may be a command line."""
    for language, content in blocks(text):
        if language in SHELL_LANGUAGES:
            for line in content.splitlines():
                quoted = INLINE.findall(line)
                yield from quoted
                yield INLINE.sub("", line)
    yield from INLINE.findall(prose(text))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """(program, arguments) of each `invoke …` and `sparkqfs …`, cut at comments and shell operators."""
    for candidate in candidates(text):
        for part in re.split(r"&&|\|\||[;|]", candidate.split(" #")[0]):
            found = COMMAND.search(part)
            if found:
                yield found[1], [word for word in shlex.split(found[2]) if word not in ("…", "...")]


@pytest.fixture(scope="module")
def contexts() -> list[ParserContext]:
    """What Invoke's parser knows of each task."""
    sys.path.insert(0, str(ROOT))
    try:
        import tasks
    finally:
        sys.path.remove(str(ROOT))
    return list(tasks.ns.to_contexts())


@functools.cache
def initial_context() -> ParserContext:
    """What the parser knows of the flags before a task."""
    context: ParserContext = Program().initial_context
    return context


def with_its_words(context: ParserContext) -> ParserContext:
    """The same task for the command line that there is now."""
    import tasks

    return ParserContext(name=context.name, aliases=context.aliases, args=tasks.ns[context.name].get_arguments())


UNNAMED = ("TASK", "docs/PAGE.md", "docs/….md")
"""Stand for any."""
_READ: dict[tuple[str, ...], list[str] | ParseError] = {}
"""What came of a command line; pages have the same ones, and the parser copies all that it knows for each."""


def used_tasks(contexts: list[ParserContext], arguments: list[str]) -> list[str]:
    """Names of the tasks of a command line, read by Invoke's own parser. Raises `ParseError`."""
    words = tuple(arguments)
    if words not in _READ:
        try:
            _READ[words] = read_tasks(contexts, arguments)
        except ParseError as error:
            _READ[words] = error
    found = _READ[words]
    if isinstance(found, ParseError):
        raise found
    return found


def read_tasks(contexts: list[ParserContext], arguments: list[str]) -> list[str]:
    if arguments[0] in ("help", "--help", "--list", "--version"):
        known = {*UNNAMED, *(context.name for context in contexts)}
        wrong = [name for name in arguments[1:] if name not in known and not is_page_here(name)]
        if wrong:
            raise ParseError(f"no task {wrong[0]}")
        return [name for name in arguments[1:] if name not in UNNAMED and not is_page(name)]
    named = [context for context in contexts if {context.name, *context.aliases} & set(arguments)]  # it copies each
    with mock.patch.object(sys, "argv", ["invoke", *arguments]):  # `new` takes as many words as there are
        named = [with_its_words(context) if context.name == "new" else context for context in named]
    parser = Parser(contexts=named, initial=initial_context())
    return [context.name for context in parser.parse_argv(arguments) if context.name]


def is_page_here(word: str) -> bool:
    path, _, anchor = word.partition("#")
    return is_page(word) and (ROOT / path).is_file() and not is_broken(ROOT / path, f"#{anchor}" if anchor else "")


@functools.cache
def anchors(page: Path) -> set[str]:
    return set(map(slug, re.findall(r"^#+ +(.*?) *$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)))


def is_broken(page: Path, target: str) -> bool:
    """A relative link of a page that leads nowhere."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.is_relative_to(ROOT) or not path.exists():
        return True
    return bool(anchor) and anchor not in anchors(path)


def test_relative_links_resolve() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in LINK.findall(INLINE.sub("", prose(page.read_text(encoding="utf-8"))))
        if not re.match(r"[a-z]+:", target)
    ]
    assert len(links) > 500
    assert [f"{page.name}: {target}" for page, target in links if is_broken(page, target)] == []
    assert is_broken(PAGES[0], "nowhere.md") and is_broken(PAGES[0], "#no-such-heading")


def test_commands_and_flags_exist(contexts: list[ParserContext]) -> None:
    wrong = []
    for page in PAGES:
        for program, arguments in commands(page.read_text(encoding="utf-8")):
            try:
                used_tasks(contexts, arguments)
            except (ParseError, ValueError) as error:
                wrong.append(f"{page.name}: {program} {shlex.join(arguments)}: {error}")
    assert wrong == []


def test_a_wrong_command_would_be_found(contexts: list[ParserContext]) -> None:
    found = list(commands("`invoke prep --only a`\n```sh\nx=1 invoke nonsense && invoke down --nonsense  # why\n```\n"))
    assert [arguments for _, arguments in found] == [["nonsense"], ["down", "--nonsense"], ["prep", "--only", "a"]]
    assert used_tasks(contexts, found[2][1]) == ["prep"]
    for _, arguments in found[:2]:
        with pytest.raises(ParseError):
            used_tasks(contexts, arguments)


def test_every_task_is_described(contexts: list[ParserContext]) -> None:
    described: set[str] = set()
    for page in PAGES:
        for _, arguments in commands(page.read_text(encoding="utf-8")):
            described.update(used_tasks(contexts, arguments))
    assert {context.name for context in contexts} - described == set()


def test_the_page_of_tasks_lists_every_task(contexts: list[ParserContext]) -> None:
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `inv")]
    listed = {used_tasks(contexts, arguments)[0] for row in rows for _, arguments in commands(row.split("|")[1])}
    assert listed == {context.name for context in contexts}


@pytest.mark.parametrize("page", WITH_YAML, ids=page_name)
def test_yaml_blocks_parse_and_cluster_files_load(page: Path, tmp_path: Path) -> None:
    for language, content in blocks(page.read_text(encoding="utf-8")):
        if language != "yaml":
            continue
        lines = content.splitlines()
        indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        text = "\n".join(line[indent:] for line in lines) + "\n"
        parsed = yaml.safe_load(text)
        if isinstance(parsed, dict) and "nodes" in parsed:
            file = tmp_path / "hosts.yml"
            file.write_text(text, encoding="utf-8")
            load_config(file, env={})


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - linked - {index} == set()


def test_ports_md_names_every_port() -> None:
    text = (ROOT / "docs" / "ports.md").read_text(encoding="utf-8")
    constants = {name: value for name, value in vars(topology).items() if name.endswith("_PORT")}
    assert constants
    missing = [n for n, v in constants.items() if f"`{n}`" not in text or not re.search(rf"\b{v}\b", text)]
    assert missing == []


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_ports_md_names_the_ports_that_services_publish(kind: Any) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind, shared=SharedConfig(path=PurePosixPath("/mnt/nfs"))))
    text = (ROOT / "docs" / "ports.md").read_text(encoding="utf-8").partition("## Not published")[0]
    ports = {port.published(config) for service in single_services(config) for port in service.ports}
    assert len(ports) >= 4
    assert {port for port in ports if not re.search(rf"^\|.*\b{port}\b", text, re.MULTILINE)} == set()


def test_ports_md_lists_what_is_taken_without_being_published() -> None:
    text = (ROOT / "docs" / "ports.md").read_text(encoding="utf-8").partition("## Not published")[2]
    swarm = {topology.SWARM_PORT, topology.SWARM_NODES_PORT}
    for port in {*topology.FIXED_PORTS, *topology.INNER_PORTS} - swarm:
        row = re.search(rf"^\| {port} \| `(\w+)` \|", text, re.MULTILINE)
        assert row is not None and getattr(topology, row[1]) == port, port


def test_no_program_of_the_containers_has_a_port_of_its_own() -> None:
    ports = {value for name, value in vars(topology).items() if name.endswith("_PORT")}
    programs = [path for path in (ROOT / "runtime").rglob("*.py") if path.parent.name != "bin"]
    assert len(programs) > 20
    wrong = []
    for path in programs:
        for node in walk(tree_of(path)):
            if not isinstance(node, ast.Constant):
                continue
            value = node.value
            if value in ports or (isinstance(value, str) and value.isdigit() and int(value) in ports):
                wrong.append(f"{path.name}:{node.lineno}: {value!r}")
    assert wrong == []


def properties() -> dict[str, str]:
    """Every property of the templates with its value."""
    found: dict[str, str] = {}
    for template in sorted(STACK.iterdir()):
        text = template.read_text(encoding="utf-8")
        if template.suffix == ".xml":
            found.update(re.findall(r"<name>(.*?)</name>\s*<value>(.*?)</value>", text))
            continue
        for line in text.splitlines():
            if line.strip() and not line.startswith(("#", "[")):
                name, value = re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1)
                found[name] = value
    return found


def stated_values(page: str) -> Iterator[tuple[str, str]]:
    """(property, value) of each first column in which a value follows a name: `` `a` 1, `b` 2 s ``."""
    for row in (line for line in page.splitlines() if line.startswith("| ")):
        for name, value in re.findall(r"`([^`]+)`([^`]*)", row.split("|")[1]):
            if value.strip(" ,"):
                yield name, value.strip(" ,")


def is_value(stated: str, actual: str) -> bool:
    """Whether a page's value is the template's; the page gives seconds a unit, Hadoop's are milliseconds."""
    seconds = re.fullmatch(r"(\d+) s", stated)
    return actual in ((seconds[1], seconds[1] + "s", seconds[1] + "000") if seconds else (stated,))


def test_daemons_md_names_exactly_the_properties_of_the_templates() -> None:
    described = table_codes((ROOT / "docs" / "daemons.md").read_text(encoding="utf-8"))
    assert described == set(properties())


def test_daemons_md_gives_the_values_of_the_templates() -> None:
    known = properties()
    stated = list(stated_values((ROOT / "docs" / "daemons.md").read_text(encoding="utf-8")))
    assert len(stated) > 20
    wrong = [f"{name}: {value}, not {known[name]}" for name, value in stated if not is_value(value, known[name])]
    assert wrong == []


def test_a_wrong_value_in_daemons_md_would_be_found() -> None:
    row = "| `a.level` INFO, `a.wait` 30 s | why |\n| `a.port` | a reason of 5 s |"
    assert list(stated_values(row)) == [("a.level", "INFO"), ("a.wait", "30 s")]
    assert is_value("30 s", "30") and is_value("30 s", "30000") and not is_value("30 s", "3")
    assert is_value("0.90", "0.90") and not is_value("INFO", "NOTICE")


def test_the_readmes_picture_shows_every_service() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What runs where")[2].partition("\n## ")[0]
    boxes = set(re.findall(r"│ (\S[^│]*?) *(?=│)", section))  # a daemon in a box has more space before it
    services = {topology.WORKER_NODE, *(service.name for service in single_services(a_cluster()))}
    assert boxes == services | {"image registry"}


def test_readme_lists_every_exit_code() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| (\d+) \|", section, re.MULTILINE)) == {*(str(int(code)) for code in ExitCode), "130"}


def test_qfs_tarball_md_has_the_address_and_version_of_the_code() -> None:
    text = (ROOT / "docs" / "qfs-tarball.md").read_text(encoding="utf-8")
    assert topology.QFS_URL in text
    for architecture in ("x86_64", "aarch64"):
        url = topology.QFS_URL.format(version=topology.QFS_VERSION, arch=architecture)
        assert url.rsplit("/", 1)[-1] in text


def test_fsck_md_names_exactly_the_keys_of_the_json_document() -> None:
    config = a_cluster()
    copies = (CopyFact(address="10.0.0.2", state="live"),)
    file = DamagedFact(
        path=b"/a",
        state="short",
        size=1,
        asked=2,
        blocks=(BlockFact(name="1", offset=0, copies=copies),),
        blocks_count=1,
    )
    values = {"lost_files": 0, "short_files": 1, "lost_blocks": 0, "short_blocks": 1, "bad_blocks": 0, "files": 1}
    fact = FsckFact(took_s=1.0, ready=True, partial="", damaged=(file,), **values)
    report = Report(config=config, backend=backend_of(config), fact=fact, nodes={}, scrubs=(ScrubFact(node="node1"),))
    keys = {"task", "outcomes", "exit_code", "problems[].node", "problems[].what", "problems[].hint"}
    section = (ROOT / "docs" / "fsck.md").read_text(encoding="utf-8").partition("## The JSON document (schema 1)")[2]
    assert table_codes(section.partition("\n## ")[0]) == keys | set(paths_of(report.document()))


def test_verify_md_names_every_key_of_the_json_document() -> None:
    keys: set[object] = {"local_share_of_tasks", "nodes", "verdict"}
    for node in ast.walk(
        ast.parse((ROOT / "runtime" / "sparkqfs_runtime" / "measuring" / "verify.py").read_text(encoding="utf-8"))
    ):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
            names = {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
            keys |= names if "received_total" in names else set()
    assert len(keys) > 1
    section = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8").partition("## The JSON document (schema 1)")[2]
    assert table_codes(section.partition("\n## ")[0]) == keys - {"schema"}
