"""What tasks take from standard input: a password's line, a text, a stream; also from a pipe that does not wait."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

PASSWORD = "print(repr(sudo_password('-')), flush=True)"
TEXT = "print(repr(input_text()), flush=True)"
STREAM = "print(b''.join(Reading(0, lambda size: None).blocks()), flush=True)"
PROGRAM = """\
import sys
from invoke import Exit
from sparkqfs.cli.flags import Flags
from sparkqfs.cli.running import input_text, reporting, sudo_password
from sparkqfs.files.local import Reading
try:
    with reporting(Flags(), "put"):
        {lines}
except Exit as end:
    sys.exit(end.code)
"""
SQL = """\
import contextlib, sys
from invoke import Context
from sparkqfs.cli import connecting, running

def input_text():
    print(repr(running.input_text()), flush=True)

@contextlib.contextmanager
def opened(given, on_event):
    print(repr(running.sudo_password(given.sudo_password_file)), flush=True)
    sys.exit(0)
    yield

connecting.input_text, connecting.opened = input_text, opened
connecting.sql(Context(), sudo_password_file="-")
"""


def ran(program: str, *pieces: bytes) -> tuple[int, str, str]:
    """Its exit code and what it says, without a terminal; each piece is written when those before it were read."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=read, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        os.close(read)
        for piece in pieces:
            time.sleep(0.5)
            os.write(write, piece)
        os.close(write)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("lines", "pieces", "out"),
    [
        ((STREAM,), (b"one", b"two"), "b'onetwo'\n"),
        ((TEXT,), (b"select\r\n", "'ü'".encode()), "\"select\\n'ü'\"\n"),
        ((TEXT,), (b"\xef\xbb", b"\xbfselect 1"), "'select 1'\n"),
        ((PASSWORD, STREAM), (b"sec", b"ret\nthe ", b"stream\n"), "'secret'\nb'the stream\\n'\n"),
        ((PASSWORD, TEXT), (b"s\xc3\xb6\r\nselect 1",), "'sö'\n'select 1'\n"),
        ((PASSWORD, STREAM), (b"\nx",), "''\nb'x'\n"),
        ((PASSWORD, STREAM), (b"alone",), "'alone'\nb''\n"),
    ],
)  # fmt: skip
def test_nothing_of_standard_input_is_lost(lines: tuple[str, ...], pieces: tuple[bytes, ...], out: str) -> None:
    assert ran(PROGRAM.format(lines="; ".join(lines)), *pieces) == (0, out, "")


@pytest.mark.parametrize(
    ("given", "said"),
    [(b"", "no terminal to ask at"), (b"\xff\n", "-: not UTF-8"), (b"x" * 5000, "first line of standard input is too")],
)  # fmt: skip
def test_what_is_no_password_is_said(given: bytes, said: str) -> None:
    code, out, err = ran(PROGRAM.format(lines=PASSWORD), given)
    assert (code, out) == (2, "") and said in " ".join(err.split())


def test_the_password_of_sql_is_not_taken_for_its_text() -> None:
    assert ran(SQL, b"secret\nselect 1")[:2] == (0, "'select 1'\n'secret'\n")
