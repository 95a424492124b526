"""What a driver's JVM is told for downloading packages: the build's proxy, and its certificates in a Java store."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sparkqfs.clients.ca import make_ca
from sparkqfs_runtime.supervise import downloads
from sparkqfs_runtime.supervise.setup import Refusal, Setup


def prepared(root: Path, proxy: dict[str, object] | None, certificates: str, **environ: str) -> dict[str, str]:
    """Environment of a driver in a container with these settings."""
    for name in ("etc", "run"):
        (root / name).mkdir(exist_ok=True)
    (root / "system.pem").write_text(make_ca("system.example")[0])
    file = root / "etc" / downloads.FILE
    file.write_text(json.dumps({"proxy": proxy, "certificates": certificates}))
    places = {"SPARKQFS_ETC_DIR": str(root / "etc"), "SPARKQFS_RUN_DIR": str(root / "run")}
    setup = Setup({**places, "SPARKQFS_CA_BUNDLE": str(root / "system.pem"), **environ})
    downloads.options(setup)
    return setup.environ


def entries(store: Path) -> str:
    """Java's own view of a key store."""
    if shutil.which("keytool") is None:
        pytest.skip("no keytool on this machine")
    argv = ["keytool", "-list", "-v", "-keystore", str(store), "-storepass", downloads.PASSWORD]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_without_settings_nothing_changes(tmp_path: Path) -> None:
    setup = Setup({"SPARKQFS_ETC_DIR": str(tmp_path), "SPARK_SUBMIT_OPTS": "-Da=b"})
    downloads.options(setup)
    assert setup.environ["SPARK_SUBMIT_OPTS"] == "-Da=b"


def test_the_proxy_is_for_everything_but_private_addresses(tmp_path: Path) -> None:
    words = prepared(tmp_path, {"host": "proxy.example", "port": 3128}, "", SPARK_SUBMIT_OPTS="-Da=b")[
        "SPARK_SUBMIT_OPTS"
    ].split()
    assert words[:4] == [
        "-Dhttp.proxyHost=proxy.example",
        "-Dhttp.proxyPort=3128",
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
    ]
    assert words[-1] == "-Da=b" and not any("trustStore" in word for word in words)
    direct = next(word for word in words if "nonProxyHosts" in word).partition("=")[2].split("|")
    patterns = [re.escape(one).replace(r"\*", ".*") for one in direct]
    for host, is_direct in (("172.20.1.9", True), ("10.20.30.4", True), ("localhost", True), ("172.32.1.1", False)):
        assert any(re.fullmatch(one, host) for one in patterns) is is_direct, host


def test_java_trusts_the_builds_authorities_besides_debians(tmp_path: Path) -> None:
    first, second = make_ca("one.example")[0], make_ca("two.example")[0]
    options = prepared(tmp_path, None, f"a comment\n{first}{second}{first}")["SPARK_SUBMIT_OPTS"].split()
    store = tmp_path / "run" / "trust.jks"
    assert options == [
        f"-Djavax.net.ssl.trustStore={store}",
        f"-Djavax.net.ssl.trustStorePassword={downloads.PASSWORD}",
    ]
    listed = entries(store)
    assert listed.count("trustedCertEntry") == 3
    assert all(f"CN=sparkqfs registry {name}.example" in listed for name in ("system", "one", "two"))


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"proxy": {"host": "a"}, "certificates": ""}', '{"proxy": 1, "certificates": ""}']
)
def test_settings_that_cannot_be_read_end_the_container_with_their_name(tmp_path: Path, text: str) -> None:
    (tmp_path / downloads.FILE).write_text(text)
    with pytest.raises(Refusal) as caught:
        downloads.options(Setup({"SPARKQFS_ETC_DIR": str(tmp_path)}))
    assert caught.value.code == 78 and downloads.FILE in caught.value.text
