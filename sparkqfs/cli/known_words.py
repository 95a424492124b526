"""Words that people bring from other programs, and what the same is called here."""

from __future__ import annotations

from collections.abc import Container

_STOPPED = "down (keeps all data)"
_ERASED = f"{_STOPPED} or purge (erases it)"
TASKS: dict[str, str] = {
    **dict.fromkeys(("stop", "halt", "shutdown", "teardown"), _STOPPED),
    **dict.fromkeys(("destroy", "erase", "wipe", "reset", "uninstall"), _ERASED),
    **dict.fromkeys(("delete", "remove", "del"), f"rm (files), {_ERASED}"),
    **dict.fromkeys(("start", "launch", "apply", "bootstrap", "install", "update", "upgrade"), "up"),
    **dict.fromkeys(("restart", "reboot", "redeploy"), "down up, one after the other"),
    **dict.fromkeys(("create", "init", "setup", "configure"), "new (writes a cluster file) or up"),
    "provision": "prep",
    **dict.fromkeys(("ssh", "attach", "enter", "console"), "login or exec (a single command)"),
    **dict.fromkeys(("bash", "sh"), "login (a node) or shell (Spark)"),
    **dict.fromkeys(("run", "spark-submit", "execute"), "submit (a program) or exec (a command)"),
    **dict.fromkeys(("pyspark", "spark-shell", "python", "repl"), "shell"),
    **dict.fromkeys(("spark-sql", "query"), "sql"),
    **dict.fromkeys(("beeline", "odbc"), "jdbc"),
    **dict.fromkeys(("jupyter", "jupyterlab", "lab"), "open jupyter"),
    **dict.fromkeys(("ui", "webui", "web", "dashboard"), "open spark or open storage"),
    **dict.fromkeys(("ps", "jobs", "applications"), "apps"),
    **dict.fromkeys(("log", "tail"), "logs"),
    **dict.fromkeys(("cp", "distcp"), "put, get or copy"),
    "upload": "put",
    **dict.fromkeys(("download", "fetch"), "get"),
    "cat": "get PATH -",
    **dict.fromkeys(("dir", "dfs", "fs"), "ls"),
    **dict.fromkeys(("check", "diagnose", "validate"), "doctor"),
    **dict.fromkeys(("info", "health", "state"), "status"),
    **dict.fromkeys(("diff", "preview"), "plan"),
    **dict.fromkeys(("audit", "events"), "history"),
    **dict.fromkeys(("prune", "gc"), "clean"),
    **dict.fromkeys(("test", "benchmark"), "verify or bench.storage"),
    "version": "--version",
    **dict.fromkeys(("list", "tasks", "commands"), "--list"),
    "completion": "--print-completion-script SHELL",
}
"""Word → what is meant."""
_FLAGS: dict[str, tuple[str, ...]] = {
    "-y": ("--yes",),
    "-r": ("--recursive",),
    "-R": ("--recursive",),
    "-n": ("--tail", "--last", "--limit", "--dry-run"),
    "-v": ("--verbose",),
    "-j": ("--json",),
    "-i": ("--hosts",),
    "-o": ("--json", "--out"),
    "-p": ("--port",),
    "-d": ("--detach",),
    "-t": ("--timeout", "--tail"),
    "-l": ("--limit", "--only"),
    "-s": ("--service",),
    "-e": ("--exec",),
    **dict.fromkeys(("--force", "--assume-yes", "--noconfirm", "--no-confirm"), ("--yes",)),
    **dict.fromkeys(("--dryrun", "--check", "--noop", "--what-if", "--simulate"), ("--dry-run",)),
    **dict.fromkeys(("--inventory", "--config", "--cluster", "--hosts-file", "--host"), ("--hosts",)),
    **dict.fromkeys(("--node", "--nodes", "--only", "--on"), ("--on", "--only")),
    **dict.fromkeys(("--lines", "--last", "--limit"), ("--tail", "--last", "--limit")),
    **dict.fromkeys(("--output", "--format"), ("--json", "--out")),
    **dict.fromkeys(("--debug", "--trace"), ("--verbose",)),
    **dict.fromkeys(("--container", "--services"), ("--service",)),
    **dict.fromkeys(("--filter", "--pattern"), ("--grep",)),
    "--ask-become-pass": ("--sudo-password-file",),
    "-K": ("--sudo-password-file",),
}
"""Flag → those of ours that may be meant; the first that the task has."""
_OF_TASK = {("rm", "-f"): "--yes", ("rm", "--force"): "--yes", ("sql", "--execute"): "-e", ("sql", "--file"): "-f"}


def flag_for(task: str, flag: str, known: Container[str]) -> str | None:
    """What a flag of other programs is called in a task with these flags."""
    found = (_OF_TASK.get((task, flag)), *_FLAGS.get(flag, ()))
    return next((one for one in found if one is not None and one in known), None)
