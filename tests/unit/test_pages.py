"""The filters of the web UIs of QFS and HDFS: what passes and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs_runtime.pages import hdfs as hdfs_page
from sparkqfs_runtime.pages import qfs as qfs_page
from tests.builders.pages import BEAN, a_doc_root


@pytest.fixture
def doc_root(tmp_path: Path) -> Path:
    return a_doc_root(tmp_path)


@pytest.mark.parametrize(
    "target",
    ["/", "/files/qfsstyle.css", "/files/sorttable/sorttable.js", "/files/absent.gif", "/query/meta", "/chunk-it",
     "/cluster-view", "/meta-conf-html", "/favicon.ico"],
)  # fmt: skip
def test_pages_of_the_web_ui_pass(doc_root: Path, target: str) -> None:
    assert qfs_page.allowed(target, doc_root, doc_root.parent)


@pytest.mark.parametrize(
    "target",
    ["/files//etc/passwd", "/files/../secret", "/files/%2e%2e/secret", "/files/%252e%252e/secret",
     "/files/%2fetc/passwd",
     "/files", "/files/", "/filesX/etc/passwd", "/files/link", "/files/sorttable", "/files/a\\..\\b", "/files/a%00b",
     "/files/qfsstyle.css?x=/etc/passwd", "/charts/../secret", "/charts/../../etc/passwd", "/charts//etc/passwd",
     "/charts", "/..", "/browse-it/../../etc", "http://host/files//etc/passwd", "files/qfsstyle.css", ""],
)  # fmt: skip
def test_paths_that_leave_the_document_root_are_refused(doc_root: Path, target: str) -> None:
    assert not qfs_page.allowed(target, doc_root, doc_root.parent)


@pytest.mark.parametrize(
    ("target", "asked"),
    [("/", "/index.html"), ("/dfshealth.html", "/dfshealth.html"), ("/startupProgress", "/startupProgress"),
     ("/static/bootstrap-3.4.1/css/bootstrap.min.css", "/static/bootstrap-3.4.1/css/bootstrap.min.css"),
     (BEAN, BEAN), ("/jmx?qry=Hadoop%3Aservice%3DNameNode%2Cname%3DFSNamesystem", BEAN),
     ("/jmx?qry=Hadoop:service=NameNode,name=*", "/jmx?qry=Hadoop:service=NameNode,name=*"),
     ("/jmx?qry=java.lang:type=Memory", "/jmx?qry=java.lang:type=Memory")],
)  # fmt: skip
def test_the_status_page_s_own_questions_pass(target: str, asked: str) -> None:
    assert hdfs_page.passed_on(target) == asked


@pytest.mark.parametrize(
    "target",
    ["/webhdfs/v1/?op=LISTSTATUS", "/webhdfs/v1/x?op=OPEN", "/fsck?path=/", "/imagetransfer?getimage=1&txid=0",
     "/conf?format=json", "/logs/", "/stacks", "/logLevel?log=a&level=DEBUG", "/explorer.html", "/topology", "/prof",
     "/jmx", "/jmx?qry=*:*", "/jmx?get=java.lang:type=Memory::HeapMemoryUsage", "/jmx?qry=java.lang:type=Runtime",
     BEAN + "&get=x", BEAN + "&qry=*:*", BEAN + "%0d%0aX: y", "/jmx;x?qry=" + BEAN, "/static/", "/static",
     "/static/../conf", "/static/%2e%2e/conf", "/static/..;/webhdfs/v1/", "/static//etc", "/static/.x", "//logs/",
     "/dfshealth.html?x", "/dfshealth.html/../conf", "http://127.0.0.1:9871/stacks", "conf", "*", ""],
)  # fmt: skip
def test_everything_else_of_the_namenode_is_refused(target: str) -> None:
    assert hdfs_page.passed_on(target) is None
