"""What the pages of the storages' masters are asked for."""

from __future__ import annotations

from pathlib import Path

BEAN = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystem"


def a_doc_root(folder: Path) -> Path:
    """The files of QFS's web UI, and a link that leads out of them."""
    root = folder / "files"
    (root / "sorttable").mkdir(parents=True)
    (root / "qfsstyle.css").write_text("css")
    (root / "sorttable" / "sorttable.js").write_text("js")
    (root / "link").symlink_to("/etc/passwd")
    return root
