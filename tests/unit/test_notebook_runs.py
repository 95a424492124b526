"""Which notebooks run, and with which values: what `run-notebook` decides before papermill starts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sparkqfs_runtime.notebook_runs import Refusal, known, language_of, main, parameters_of, read, whole


def a_notebook(source: str = "", **metadata: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source.splitlines(keepends=True)}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [cell]}


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "Python"),
        ({"kernelspec": {"name": "my-env", "display_name": "Python (my env)"}}, "Python"),
        ({"kernelspec": {"name": "conda-env-x-py", "language": "python"}}, "Python"),
        ({"kernelspec": None, "language_info": None}, "Python"),
        ({"language_info": {"name": "ipython", "version": "2.7"}}, "Python"),
        ({"kernelspec": {"name": "ir", "language": "R"}, "language_info": {"name": "R"}}, "R"),
        ({"kernelspec": {"name": "ir"}}, "R"),
        ({"kernelspec": {"name": "julia-1.9"}}, "Julia"),
        ({"language_info": {"name": "julia"}}, "Julia"),
        ({"kernelspec": {"name": "spylon-kernel"}}, "Scala"),
        ({"kernelspec": {"name": "x", "language": "scala"}}, "Scala"),
        ({"kernelspec": {"name": ".net-csharp"}}, "C#"),
        ({"kernelspec": {"name": "x", "language": "brainf"}}, "brainf"),
        ({"kernelspec": {"name": "pysparkkernel", "language": "python"}}, "Python"),
        ({"kernelspec": {"name": "pysparkkernel", "language": ""}, "language_info": {"name": "pyspark"}}, "Python"),
        ({"kernelspec": {"name": "glue_pyspark"}, "language_info": {"name": "Python_Glue_Session"}}, "Python"),
        ({"language_info": {"name": "Python 3"}}, "Python"),
        ({"language_info": {"name": "mine", "mimetype": "text/x-python"}}, "Python"),
        ({"language_info": {"name": "scala", "mimetype": "text/x-python"}}, "Scala"),
        ({"language_info": {"name": "pythonic"}}, "pythonic"),
    ],
)
def test_a_notebook_is_in_the_language_that_it_says_and_else_in_python(metadata: dict[str, Any], language: str) -> None:
    assert language_of({"metadata": metadata, "cells": []}) == language


CELL = """\
# comments are fine
COUNT = 10
BIG = 10 ** 7
SHARE: float = 0.5
NAME = "x"
CODE = '007'
FLAG = True
LIST = [1, 2]
PAIR = (1, 2)
MAP = {"a": 1}
BY_NUMBER = {1: "a"}
SET = {1, 2}
BYTES = b"x"
NOTHING = None
COMPUTED = open("/dev/null")
"""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("COUNT", "12", 12),
        ("COUNT", "1_000", 1000),
        ("COUNT", "-3", -3),
        ("COUNT", "1e7", 10_000_000),
        ("COUNT", "1.5e1", 15),
        ("COUNT", "1e23", 10**23),
        ("BIG", "5", 5),
        ("SHARE", "1", 1.0),
        ("SHARE", "1e-3", 0.001),
        ("NAME", "12", "12"),
        ("NAME", "true", "true"),
        ("NAME", "", ""),
        ("CODE", "007", "007"),
        ("FLAG", "false", False),
        ("FLAG", "Yes", True),
        ("LIST", "[3, 'x']", [3, "x"]),
        ("LIST", '["a", null]', ["a", None]),
        ("LIST", "(3, 4)", [3, 4]),
        ("LIST", "[{1, 2}, b'x', (1,)]", [{1, 2}, b"x", (1,)]),
        ("LIST", "[NaN, 1e999]", [math.nan, math.inf]),
        ("PAIR", "(3, 4)", (3, 4)),
        ("PAIR", "[3, 4]", (3, 4)),
        ("MAP", '{"b": [1]}', {"b": [1]}),
        ("MAP", "{(1, 2): 3}", {(1, 2): 3}),
        ("BY_NUMBER", "{2: 'b'}", {2: "b"}),
        ("SET", "{3, 4}", {3, 4}),
        ("SET", "[3, 4]", {3, 4}),
        ("BYTES", "b'\\xff'", b"\xff"),
        ("NOTHING", "7", 7),
        ("NOTHING", "007", "007"),
        ("NOTHING", "0.5", 0.5),
        ("NOTHING", "00.5", "00.5"),
        ("NOTHING", "None", None),
        ("COMPUTED", "007", "007"),
        ("OTHER", "some text", "some text"),
    ],
)
def test_a_parameter_has_the_type_of_its_default(name: str, text: str, value: object) -> None:
    found = parameters_of(a_notebook(CELL), [(name, text)])[name]
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("X = f'/data/{1}'", "7"),
        ("X = '/data/' + DAY", "7"),
        ("X = PATH + '/data'", "7"),
        ("X = '%s' % DAY", "7"),
        ("X = 'a' * 3", "7"),
        ("X = '{}'.format(1)", "7"),
        ("X = f'{DAY}'.strip()", "7"),
        ("X = str(7)", "7"),
        ("X = os.environ.get('X', '8')", "7"),
        ("X = os.environ['X']", "7"),
        ("X, Y = '8', 9", "7"),
        ("X: str = None", "7"),
        ("X: str | None = None", "7"),
        ("X: Optional[str] = None", "7"),
        ("X: 'str' = make()", "7"),
        ("X: int = None", 7),
        ("X: float = None", 7.0),
        ("X = float(SHARE)", 7.0),
        ("X = make()", 7),
        ("X = DAY % 3", 7),
        ("X = not DAY", True),
    ],
)
def test_a_default_whose_type_is_sure_says_it_also_where_its_value_is_not(source: str, value: object) -> None:
    text = "true" if value is True else "7"
    assert repr(parameters_of(a_notebook(source), [("X", text)])["X"]) == repr(value)


@pytest.mark.parametrize(
    ("default", "text", "code"),
    [
        ("date(2026, 1, 31)", "2026-02-01", "date.fromisoformat('2026-02-01')"),
        ("datetime.date.today()", "2026-02-01", "datetime.date.fromisoformat('2026-02-01')"),
        ("dt.datetime(2026, 1, 31)", "2026-02-01T06:30", "dt.datetime.fromisoformat('2026-02-01T06:30')"),
        ("datetime.now()", "2026-02-01", "datetime.fromisoformat('2026-02-01')"),
        ("pd.Timestamp('2026')", "2026-02", "pd.Timestamp('2026-02')"),
        ("Decimal('1.10')", "007.50", "Decimal('007.50')"),
        ("Path('/a')", "it's", 'Path("it\'s")'),
        ("Path.home() if True else 1", "7", "7"),
        ("datetime.timedelta(days=1)", "7", "7"),
    ],
)
def test_a_day_a_time_an_exact_number_and_a_path_are_made_as_the_default_is(default: str, text: str, code: str) -> None:
    assert repr(parameters_of(a_notebook(f"IT = {default}"), [("IT", text)])["IT"]) == code


@pytest.mark.parametrize(
    ("default", "text", "like"),
    [
        ("date(2026, 1, 31)", "tomorrow", "2026-01-31"),
        ("datetime.date.today()", "20", "2026-01-31"),
        ("datetime.now()", "', __import__('os')", "2026-01-31T12:00"),
        ("decimal.Decimal(1)", "1,5", "1.50"),
    ],
)
def test_what_is_no_day_no_time_or_no_exact_number_runs_nothing(default: str, text: str, like: str) -> None:
    with pytest.raises(Refusal, match=f"IT is like {like} in this notebook"):
        parameters_of(a_notebook(f"IT = {default}"), [("IT", text)])


def test_a_list_that_is_computed_takes_a_list_and_none_stays_none() -> None:
    assert parameters_of(a_notebook("X = [DAY]"), [("X", "['a']")]) == {"X": ["a"]}
    assert parameters_of(a_notebook("X = {DAY: 1}"), [("X", "{'a': 1}")]) == {"X": {"a": 1}}
    assert parameters_of(a_notebook("X: str = None"), [("X", "None")]) == {"X": None}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("COUNT", "ten", "COUNT is a whole number in this notebook, not 'ten'"),
        ("COUNT", "1.5", "COUNT is a whole number"),
        ("COUNT", "1e-7", "COUNT is a whole number"),
        ("COUNT", "1e999", "COUNT is a whole number"),
        ("COUNT", "nan", "COUNT is a whole number"),
        ("SHARE", "half", "SHARE is a number"),
        ("FLAG", "maybe", "FLAG is true or false"),
        ("LIST", "3", "LIST is like [1, 2]"),
        ("LIST", "{}", "LIST is like [1, 2]"),
        ("LIST", "{1, 2}", "LIST is like [1, 2]"),
        ("LIST", "(1e999,", "LIST is like [1, 2]"),
        ("LIST", "[(1, 1e999)]", "LIST is like [1, 2]"),
        pytest.param("LIST", "[" * 100_000, "LIST is like [1, 2]", id="nested"),
        pytest.param("LIST", "[" + "-" * 100_000 + "1]", "LIST is like [1, 2]", id="signs"),
        ("PAIR", "{1, 2}", "PAIR is like (1, 2)"),
        ("SET", "[[1]]", "SET is like {1, 2}"),
        ("BYTES", "x", "BYTES is like b'x'"),
        ("MAP", "[1]", 'MAP is like {"a": 1}'),
    ],
)
def test_a_value_that_its_default_does_not_allow_runs_nothing(name: str, text: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        parameters_of(a_notebook(CELL), [(name, text)])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("BYNUMBER", "BY_NUMBER"), ("computed", "COMPUTED"), ("COUMPUTED", "COMPUTED")]
)
def test_a_name_that_is_nearly_a_parameters_runs_nothing(name: str, meant: str) -> None:
    with pytest.raises(Refusal, match=f"--param {name}: the notebook has no parameter {name}; did you mean {meant}"):
        parameters_of(a_notebook(CELL), [(name, "1")])
    assert parameters_of(a_notebook("import os"), [(name, "1")]) == {name: 1}, "where it names none, any is right"


@pytest.mark.parametrize("source", ["COUNT =", "%%bash\nCOUNT=1", "COUNT = '\0'"])
def test_a_cell_that_is_not_plain_python_still_takes_its_parameters(source: str) -> None:
    assert parameters_of(a_notebook(source), [("COUNT", "3")]) == {"COUNT": 3}


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nCODE = '1'",
        "CODE = '1'\n%time x",
        "!ls \\\n  -l\nCODE = '1'",
        "CODE = '1'\nfiles = !ls",
        "CODE = '1'\nif CODE:\n    %time x\n",
        "%%time\nCODE = '1'",
        "CODE = '1'\nprint?",
        "CODE = 'a?'\n%time x",
    ],
)
def test_magics_beside_the_parameters_do_not_take_their_types(source: str) -> None:
    assert parameters_of(a_notebook(source), [("CODE", "12")]) == {"CODE": "12"}


@pytest.mark.parametrize("cell", [{"metadata": []}, {"metadata": {"tags": 3}}, {"source": 5}, {"source": [5]}])
def test_a_cell_of_another_shape_has_no_defaults(cell: dict[str, Any]) -> None:
    notebook = a_notebook("COUNT = '1'")
    notebook["cells"][0] |= cell
    assert parameters_of(notebook, [("COUNT", "3")]) == {"COUNT": 3}


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"cells": 3}', '{"cells": [1]}'])
def test_what_is_no_notebook_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(Refusal):
        read(tmp_path / "x.ipynb")
    assert main([str(tmp_path), "x"]) == 64
    assert capsys.readouterr().out.startswith("refused\tx.ipynb ")


CODE = {"cell_type": "code", "source": "1"}


@pytest.mark.parametrize(
    "notebook",
    [
        {"cells": [CODE]},
        {"nbformat": 4, "nbformat_minor": 5, "cells": []},
        {"nbformat": 4, "nbformat_minor": "5", "metadata": {}, "cells": []},
        {"nbformat": 4, "nbformat_minor": 2, "metadata": None, "cells": [CODE, {"cell_type": "markdown"}]},
        {"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [CODE | {"metadata": []}]},
        {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [CODE | {"input": "1", "outputs": []}]}]},
    ],
)
def test_a_notebook_without_all_of_its_format_is_made_whole(notebook: dict[str, Any]) -> None:
    found = nbformat.reads(json.dumps(whole(notebook)), as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(found)
    assert isinstance(found.metadata, dict) and all(isinstance(cell.metadata, dict) for cell in found.cells)


def test_a_whole_notebook_stays_as_it_is() -> None:
    notebooks: tuple[dict[str, Any], ...] = (a_notebook("X = 1", kernelspec={"name": "x"}), {"worksheets": []})
    for notebook in notebooks:
        for cell in notebook.get("cells", []):
            cell |= {"outputs": [], "execution_count": 3, "id": "a"}
        assert whole(notebook) == notebook


def test_a_notebook_in_another_language_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.ipynb").write_text(json.dumps(a_notebook(kernelspec={"name": "ir"})))
    assert main([str(tmp_path), "x"]) == 64
    assert capsys.readouterr().out == "refused\tx.ipynb is a notebook in R, and kernels here run Python\n"


def test_notebooks_in_folders_are_known_and_checkpoints_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "a.ipynb",
        "Übung 1/b c.ipynb",
        ".ipynb_checkpoints/a-checkpoint.ipynb",
        "x/.hidden.ipynb",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert list(known(tmp_path)) == ["a", "Übung 1/b c"]
    assert main([str(tmp_path), "../a"]) == 64, "nothing outside of the directory"
    assert capsys.readouterr().out == "absent\nknown\ta\nknown\tÜbung 1/b c\n"


@pytest.mark.parametrize("words", [[], ["/x"], ["/x", "y", "-p"], ["/x", "y", "-q", "a", "b"]])
def test_a_wrong_command_line_runs_nothing(words: list[str]) -> None:
    assert main(words) == 64
