"""Scripts for the machines and containers, a file each; what they say comes with its parts and values in it."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def script(name: str, **values: object) -> str:
    """The text of `NAME.sh`: `@KEY@` is the value, `. ./OTHER.sh` that file, comments at its head are left out."""
    lines = (_HERE / f"{name}.sh").read_text(encoding="utf-8").splitlines()
    while lines and lines[0].startswith("#"):
        del lines[0]
    whole = [script(line[4:-3]).rstrip("\n") if line.startswith(". ./") else line for line in lines]
    text = "\n".join(whole) + "\n"
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def program(name: str) -> str:
    """The text of `NAME.py`, a program for the Python of a container."""
    return (_HERE / f"{name}.py").read_text(encoding="utf-8")
