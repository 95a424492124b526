"""Where things are in the tree, for tests in any folder."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STACK = ROOT / "stack"
RUNTIME = ROOT / "runtime"
PROGRAMS = RUNTIME / "bin"
DATA = ROOT / "tests" / "data"
"""Recorded answers and files with a mistake in them."""
JAVA = ROOT / "tests" / "storage" / "java"
"""Programs of the tests that read and write through a storage."""
FILE_SERVER = ROOT / "tests" / "doubles" / "file_server.py"
"""A program: the stand-in for the file server of the containers."""
