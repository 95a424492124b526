"""Stands in for the Java file server: the same frames over standard input and output, on plain files of this machine.

Usage: file_server.py [FAULT] SECONDS. Faults: `version`, `dies` (in the middle of the first file that it gets),
`lies` (about checksums), `hangs` (never answers a request), `noisy` (says a lot on standard error),
`alive` (says after each block of a file that it works).
"""

from __future__ import annotations

import glob
import grp
import hashlib
import os
import pwd
import secrets
import shutil
import stat
import struct
import sys
import threading
import time
from pathlib import Path

FAULT = sys.argv[1] if len(sys.argv) > 2 else ""
IN, OUT = sys.stdin.buffer, sys.stdout.buffer


def send(*texts: str) -> None:
    encoded = [text.encode() for text in texts]
    payload = struct.pack(">I", len(texts)) + b"".join(struct.pack(">I", len(one)) + one for one in encoded)
    OUT.write(struct.pack(">cI", b"M", len(payload)) + payload)
    OUT.flush()


def read() -> tuple[list[str] | None, bytes]:
    head = IN.read(5)
    if len(head) < 5:
        raise EOFError
    kind, size = struct.unpack(">cI", head)
    payload = IN.read(size)
    if len(payload) < size:
        raise EOFError
    if kind == b"D":
        return None, payload
    at, texts = 4, []
    for _ in range(struct.unpack_from(">I", payload)[0]):
        (length,) = struct.unpack_from(">I", payload, at)
        texts.append(payload[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return texts, b""


def local(uri: str) -> Path:
    scheme, _, path = uri.partition(":")
    if scheme != "file":
        raise OSError(f'No FileSystem for scheme "{scheme}"')
    return Path(path.removeprefix("//"))


def entry(path: Path) -> list[str]:
    found = path.stat()
    kind = "d" if path.is_dir() else "f"
    owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    mode, millis = stat.filemode(found.st_mode)[1:], str(int(found.st_mtime * 1000))
    kind = "l" if path.is_symlink() else kind
    return [str(path), kind, str(found.st_size), millis, mode, owner, group, "0" if path.is_dir() else "1"]


def entries(paths: list[Path]) -> None:
    send("entries", *(text for path in paths for text in entry(path)))
    send("ok")


def digest(path: Path) -> str:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return found[::-1] if FAULT == "lies" else found


def answer(verb: str, path: Path, more: list[str]) -> None:
    if verb == "list":
        path.stat()
        below = sorted(path.rglob("*") if more == ["1"] else path.glob("*")) if path.is_dir() else []
        entries([path, *below])
    elif verb in ("find", "stat"):
        found = glob.glob(str(path), include_hidden=True) if verb == "find" else []  # noqa: PTH207
        matched = sorted(map(Path, found))
        entries([path] if path.exists() else matched)
    elif verb == "sum":
        OUT.write(struct.pack(">cI", b"K", 0))
        send("ok", digest(path))
    elif verb == "get":
        payload = path.read_bytes()
        for at in range(0, len(payload), 100_000):
            block = payload[at : at + 100_000]
            OUT.write(struct.pack(">cI", b"D", len(block)) + block)
        OUT.write(struct.pack(">cI", b"D", 0))
        send("ok", digest(path))
    elif verb == "mkdirs":
        path.mkdir(parents=True, exist_ok=True)
        send("ok")
    elif verb == "delete":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        send("ok", "1")
    elif verb == "sweep":
        old = [one for one in path.glob(".sparkqfs-part-*") if int(one.name.split("-")[2]) + 3600 < time.time()]
        for one in old:
            one.unlink()
        send("ok", str(len(old)))


def read_or_remove(part: Path) -> tuple[list[str] | None, bytes]:
    try:
        return read()
    except EOFError:
        part.unlink(missing_ok=True)
        raise


def put(path: Path, overwrite: bool) -> None:
    told = False
    part = path.parent / f".sparkqfs-part-{int(time.time()) + 60}-{secrets.token_hex(4)}"
    try:
        if path.is_dir():
            raise OSError("a directory of this name is there")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        send("error", "failed", error.strerror or str(error))
        told = True
    texts, data = read_or_remove(part)
    while texts is None:
        if not told:
            with part.open("ab") as file:
                file.write(data)
        if FAULT == "alive":
            OUT.write(struct.pack(">cI", b"K", 0))
            OUT.flush()
        if FAULT == "dies":
            print("no space left for living", file=sys.stderr, flush=True)
            part.unlink()
            os._exit(3)
        texts, data = read_or_remove(part)
    if told:
        return
    if texts[0] == "abort" or digest(part) != texts[1]:
        part.unlink()
        send("error", "failed", "given up" if texts[0] == "abort" else "other bytes arrived than were sent")
    elif path.exists() and path.read_bytes() == part.read_bytes():
        part.unlink()
        send("ok", "unchanged")
    elif path.exists() and not overwrite:
        part.unlink()
        send("ok", "differs")
    else:
        part.replace(path)
        send("ok", "copied")


def end_after(seconds: float) -> None:
    time.sleep(seconds)
    print("the time is over", file=sys.stderr, flush=True)
    os._exit(124)


def main() -> None:
    threading.Thread(target=end_after, args=(float(sys.argv[-1]),), daemon=True).start()
    if FAULT == "noisy":
        sys.stderr.write(("x" * 99 + "\n") * 30_000)
        sys.stderr.flush()
    send("ok", "0" if FAULT == "version" else "1")
    while True:
        try:
            texts, _ = read()
        except EOFError:
            return
        assert texts is not None
        if FAULT == "hangs":
            time.sleep(60)
        try:
            if texts[0] == "put":
                put(local(texts[1]), texts[2] == "1")
                continue
            answer(texts[0], local(texts[1]), texts[2:])
        except EOFError:
            return
        except FileNotFoundError as error:
            send("error", "absent", str(error))
        except OSError as error:
            send("error", "failed", error.strerror or str(error))


main()
