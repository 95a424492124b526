"""What a notebook is told when Spark does not find a file that Jupyter has, and after %pip install."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs_runtime import kernel
from sparkqfs_runtime.kernel import file_hint, load_ipython_extension, pip_words

STORAGE = "[PATH_NOT_FOUND] Path does not exist: {}. SQLSTATE: 42K03"
WORKER = "Job aborted … java.io.FileNotFoundException: File {} does not exist\n at org.apache…"
HOME = "/user/spark"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Jupyter's."""
    for name in ("data.csv", "my data.csv", "sub/x.json", "tables/part-0.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_file_that_jupyter_alone_has_is_named_with_the_one_command(folder: Path) -> None:
    said = file_hint(STORAGE.format("qfs://qfs-master:20000/user/spark/data.csv"), (folder,), HOME)
    assert said is not None and f"  !sput {folder}/data.csv /user/spark/data.csv\nthen the same line again" in said


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("hdfs://m:8020/user/spark/my%20data.csv", "'{}/my data.csv' '/user/spark/my data.csv'"),
        ("hdfs://m:8020/user/spark/sub/x.json", "{}/sub/x.json /user/spark/sub/x.json"),
        ("qfs://m:1/user/spark/tables/*.parquet", "{}/tables /user/spark/tables"),
        ("qfs://m:1/some/where/data.csv", "{}/data.csv /some/where/data.csv"),
    ],
)
def test_names_with_blanks_folders_and_patterns_work(folder: Path, path: str, command: str) -> None:
    said = file_hint(STORAGE.format(path), (folder,), HOME)
    assert said is not None and f"!sput {command.format(folder)}\n" in said


def test_a_path_of_this_machine_gets_another_place_and_the_line_to_read_it_with(folder: Path) -> None:
    said = file_hint(WORKER.format(f"file:{folder}/data.csv"), (folder,), HOME)
    assert said is not None and f"!sput {folder}/data.csv /user/spark/data.csv\nthen read /user/spark/data.csv" in said
    said = file_hint(STORAGE.format(f"file:{folder}/data.csv"), (folder,), HOME, "file:///data/shared")
    assert said is not None and said.endswith("then read file:///data/shared/user/spark/data.csv")


@pytest.mark.parametrize(
    "text",
    [
        STORAGE.format("qfs://qfs-master:20000/user/spark/nowhere.csv"),
        STORAGE.format("qfs://qfs-master:20000/"),
        "division by zero",
        "[TABLE_OR_VIEW_NOT_FOUND] The table or view `data.csv` cannot be found.",
        "",
    ],
)
def test_other_errors_stay_as_they_are(folder: Path, text: str) -> None:
    assert file_hint(text, (folder,), HOME) is None


@pytest.mark.parametrize(
    ("line", "run", "names"),
    [
        ("install polars", "install --target /p --upgrade polars", ["polars"]),
        ("install -q 'a>=1' b", "install --target /p --upgrade -q 'a>=1' b", ["a>=1", "b"]),
        ("install --user polars", "install --user polars", []),
        ("install --target=/x polars", "install --target=/x polars", []),
        ("list", "list", []),
        ("uninstall -y polars", "uninstall -y polars", []),
        ("install 'torn", "install 'torn", []),
        ("install -r requirements.txt", "install --target /p --upgrade -r requirements.txt", ["…"]),
        ("install ./x.whl", "install --target /p --upgrade ./x.whl", ["…"]),
        ("install x-1.0-py3-none-any.whl a", "install --target /p --upgrade x-1.0-py3-none-any.whl a", ["a", "…"]),
        ("install -e .", "install --target /p --upgrade -e .", ["…"]),
        ("install", "install --target /p --upgrade", []),
        ("install --help", "install --target /p --upgrade --help", []),
        ("install --dry-run a", "install --target /p --upgrade --dry-run a", []),
        ("-q install a", "-q install --target /p --upgrade a", ["a"]),
        ("install -qr req.txt -c limits a", "install --target /p --upgrade -qr req.txt -c limits a", ["a", "…"]),
        ("install -rreq.txt --timeout 5 a", "install --target /p --upgrade -rreq.txt --timeout 5 a", ["a", "…"]),
        ("install -t/x a", "install -t/x a", []),
        ("install a 2>/dev/null # b", "install --target /p --upgrade a 2>/dev/null # b", ["a"]),
        ("install 'a[b]; x > \"1\"'", "install --target /p --upgrade 'a[b]; x > \"1\"'", ['a[b]; x > "1"']),
    ],
)
def test_pip_installs_where_the_notebook_may_write(line: str, run: str, names: list[str]) -> None:
    assert pip_words(line, Path("/p")) == (run, names)


@pytest.mark.parametrize(
    "words",
    [
        "-i https://me:hidden@index/simple polars",
        "--index-url https://me:hidden@index/simple polars",
        "--extra-index-url=https://me:hidden@index/simple polars",
        "-fhttps://me:hidden@index/links polars",
        "--proxy me:hidden@proxy:3128 polars",
        "polars git+https://me:hidden@host/repository",
        "polars 'mine @ https://me:hidden@host/mine.tar.gz'",
        "polars https://me:hidden@host/mine",
    ],
)
def test_no_address_and_so_no_password_is_among_the_names(words: str) -> None:
    run, names = pip_words(f"install {words}", Path("/p"))
    assert run == f"install --target /p --upgrade {words}"
    assert [name for name in names if name != kernel.UNNAMED] == ["polars"]


class Shell:
    """As much of IPython as the extension touches."""

    def __init__(self, code: int = 0) -> None:
        self.ran: list[str] = []
        self.user_ns: dict[str, Any] = {"_exit_code": code}
        self.magics: dict[str, Any] = {"pip": self.ran.append}
        self.shown: list[Any] = []
        self.forms: dict[tuple[str, str], Any] = {}
        html = SimpleNamespace(for_type_by_name=lambda module, name, form: self.forms.update({(module, name): form}))
        self.display_formatter = SimpleNamespace(formatters={"text/html": html})

    def find_line_magic(self, name: str) -> Any:
        return self.magics.get(name)

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        self.magics[magic_name] = function

    def set_custom_exc(self, kinds: Any, handler: Any) -> None:
        self.handler = handler

    def showtraceback(self, error: Any, tb_offset: int | None = None) -> None:
        self.shown.append(error)


@pytest.mark.parametrize("code", [0, 1])
def test_after_pip_it_is_said_how_the_workers_get_it(
    code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    shell = Shell(code)
    load_ipython_extension(shell)
    shell.magics["pip"]("install polars -r more.txt")
    assert shell.ran == [f"install --target {tmp_path}/.local/{kernel.PACKAGES} --upgrade polars -r more.txt"]
    said = capsys.readouterr().out
    assert ('requirements: ["polars", …]' in said and "invoke up" in said) is (code == 0)


def test_the_cells_own_error_is_always_shown(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", [])
    shell = Shell()
    load_ipython_extension(shell)
    error = RuntimeError(STORAGE.format("qfs://m:1/user/spark/data.csv"))
    shell.handler(shell, RuntimeError, error, None)
    assert shell.shown == [(RuntimeError, error, None)]
    assert "!sput" in capsys.readouterr().err
    monkeypatch.setattr(kernel, "file_hint", lambda *_: 1 / 0)
    shell.handler(shell, RuntimeError, error, None)
    assert len(shell.shown) == 2


class Context:
    """As much of a SparkContext as its text in a cell needs. Its form is that of Spark 4.1."""

    def __init__(self, url: str | None = "http://10.0.1.9:4041") -> None:
        self.uiWebUrl = url
        self.applicationId = "app-20260101120100-0000"

    def _repr_html_(self) -> str:
        return f'<p><a href="{self.uiWebUrl}">Spark UI</a></p>'


class Session:
    def __init__(self, context: Context) -> None:
        self.sparkContext = context

    def _repr_html_(self) -> str:
        return f"<div>{self.sparkContext._repr_html_()}</div>"


def test_sparks_link_in_a_cell_leads_to_its_pages_by_jupyters_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    shell = Shell()
    load_ipython_extension(shell)
    assert set(shell.forms) == set(kernel.SHOWN)
    for form, shown in zip(shell.forms.values(), (Session(Context()), Context()), strict=True):
        text = form(shown)
        assert 'href="/proxy/app-20260101120100-0000/jobs/"' in text and "10.0.1.9" not in text
    assert kernel.linked(Context(None)) == '<p><a href="None">Spark UI</a></p>', "there are no pages"
