"""The tasks in groups, in the order in which they are used; for each an example and its page."""

from __future__ import annotations

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Begin", ("new", "doctor", "plan", "up", "status")),
    (
        "Use",
        (
            "open",
            "token",
            "notebook",
            "submit",
            "shell",
            "sql",
            "tables",
            "connect",
            "jdbc",
            "apps",
            "app.logs",
            "kill",
        ),
    ),
    ("Files", ("put", "get", "ls", "du", "rm", "copy")),
    ("Watch", ("top", "logs", "fsck", "verify", "history")),
    ("Keep safe", ("backup.make", "backup.list", "backup.verify", "restore", "drill")),
    ("Stop and erase", ("down", "clean", "purge")),
    ("Single steps of up", ("prep", "swarm", "build", "push", "init-storage", "init-qfs", "deploy")),
    ("Machines", ("exec", "login")),
    ("Measure", ("bench.storage", "bench.report")),
    ("Try on this computer", ("local.up", "local.status", "local.down")),
)
OTHERS = "More"
"""The group of tasks that are in none."""

BEHIND: dict[str, str] = {"exec": "-- COMMAND", "submit": "[-- ARGUMENTS]"}
"""What else a task takes, as it is written in its usage."""
EXAMPLES: dict[str, tuple[str, str]] = {
    "new": ("new 192.168.1.11 192.168.1.12 pi@192.168.1.13:2222", "hosts-yml"),
    "doctor": ("doctor --fix", "prep"),
    "plan": ("plan", "deploy"),
    "up": ("up", "deploy"),
    "status": ("status --watch", "status"),
    "open": ("open jupyter", "open"),
    "token": ("token", "notebook"),
    "notebook": ("notebook primes --max-value 1000000", "notebook"),
    "submit": ("submit app.py --cores 4 -- input.txt", "submit"),
    "shell": ("shell", "submit"),
    "sql": ('sql -e "select count(*) from books"', "sql"),
    "tables": ("tables --sizes", "tables"),
    "connect": ("connect --exec program.py", "connect"),
    "jdbc": ("jdbc", "jdbc"),
    "apps": ("apps --last 5", "submit"),
    "app.logs": ("app.logs app-20260101120000-0000 --follow", "submit"),
    "kill": ("kill app-20260101120000-0000", "submit"),
    "put": ("put sales.csv /data/sales.csv", "files"),
    "get": ("get /data/sales.csv sales.csv", "files"),
    "ls": ("ls /data", "files"),
    "du": ("du /data", "files"),
    "rm": ("rm /data/old.csv", "files"),
    "copy": ("copy /data shared:/data", "copy"),
    "top": ("top --once", "top"),
    "logs": ("logs --follow --service worker-node --since 10m", "logs"),
    "fsck": ("fsck", "fsck"),
    "history": ("history --limit 50", "audit"),
    "verify": ("verify --report results/locality.html", "verify"),
    "backup.make": ("backup --to backups", "backup"),
    "backup.list": ("backup.list backups", "backup"),
    "backup.verify": ("backup.verify backups", "backup"),
    "restore": ("restore --to node2", "restore"),
    "drill": ("drill --list", "drill"),
    "down": ("down", "deploy"),
    "clean": ("clean --dry-run", "images"),
    "purge": ("purge --dry-run", "init-qfs"),
    "prep": ("prep --only node2,node3", "prep"),
    "swarm": ("swarm", "swarm-and-registry"),
    "build": ("build", "images"),
    "push": ("push", "images"),
    "init-storage": ("init-storage", "init-qfs"),
    "init-qfs": ("init-qfs", "init-qfs"),
    "deploy": ("deploy", "deploy"),
    "exec": ("exec --on node2 -- df -h /", "exec"),
    "login": ("login worker-node --on node2", "exec"),
    "bench.storage": ("bench.storage --quick", "bench"),
    "bench.report": ("bench.report results/a.json,results/b.json --page results/both.html", "bench"),
    "local.up": ("local.up --nodes 3", "local-cluster"),
    "local.status": ("local.status", "local-cluster"),
    "local.down": ("local.down", "local-cluster"),
}
"""Task → an example, and the page of docs/ that explains it."""

CHANGES_NOTHING = frozenset(
    {
        *("plan", "status", "open", "token", "apps", "app.logs", "ls", "du", "get", "top", "logs", "fsck", "history"),
        *("backup", "backup.list", "backup.verify"),
    }
)
"""Tasks that change nothing of a cluster, whatever their flags: the manager records all others for `history`."""


def grouped(names: set[str]) -> list[tuple[str, list[str]]]:
    """The groups with those tasks that there are; the last has what is in no other."""
    found = [(title, [name for name in group if name in names]) for title, group in GROUPS]
    rest = sorted(names - {name for _, group in GROUPS for name in group})
    return [(title, group) for title, group in (*found, (OTHERS, rest)) if group]
