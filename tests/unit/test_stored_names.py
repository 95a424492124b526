"""Names that QFS does not take, as they are stored, and back."""

from __future__ import annotations

import json
import random
import unicodedata

import pytest

from sparkqfs_runtime.stored_names import meant, meant_path, name_of, stored_name, without_marks
from tests.builders.odd_names import random_name
from tests.paths import ROOT

FORMS: dict[str, str] = json.loads((ROOT / "tests/data/stored_names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "stored"), FORMS.items())
def test_the_form_of_a_name_stays_what_it_is(name: str, stored: str) -> None:
    assert (stored_name(name), name_of(stored)) == (stored, name)


def test_any_name_comes_back_no_two_meet_and_qfs_takes_each() -> None:
    source, seen = random.Random(16), dict[str, str]()
    for _ in range(20_000):
        name = random_name(source)
        stored = stored_name(name)
        assert name_of(stored) == name
        assert seen.setdefault(stored, name) == name
        assert " " < stored[0] < "\x80" and " " < stored[-1] < "\x80" and not {"\n", "\r", "/"} & set(stored)
        assert stored_name(name_of(name)) == name or stored != name, "what is stored so already has another name"
    assert sum(stored != name for stored, name in seen.items()) > 5_000


def test_every_name_that_qfs_could_store_before_is_meant_by_itself_but_for_exact_forms() -> None:
    for name in ("~.~", "a~b", "x~00000000", "~.Übers~12345678", "%20", "a%20", "~A.b", "~.x~4b1cf3e0"):
        assert stored_name(name) == name == name_of(name)


def test_names_that_differ_in_normalisation_only_are_two() -> None:
    assert stored_name(unicodedata.normalize("NFC", "Málagá")) != stored_name(unicodedata.normalize("NFD", "Málagá"))


def test_a_hidden_name_stays_hidden_and_no_other_becomes_so() -> None:
    assert stored_name(".é")[0] == "." and stored_name("_é")[0] == "_" and stored_name("é")[0] == "~"


def test_bytes_of_the_metaserver_are_shown_as_they_are_meant() -> None:
    halves = "a\ud83d\ude00b".encode("utf-8", "surrogatepass")
    assert meant(halves) == meant("a😀b".encode()) == "a😀b".encode()
    assert meant(b"a\xc0\x80b") == b"a\0b"
    assert meant(b"n\xfcm") == b"n\xfcm"
    assert without_marks(halves) == halves, "lists of names from before stay comparable"
    assert without_marks("~.é~d7aafc98".encode()) == "é".encode()
    assert meant_path("/x/~.é~d7aafc98/a b".encode()) == "/x/é/a b".encode()
