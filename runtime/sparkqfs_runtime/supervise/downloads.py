"""Packages that a driver's JVM downloads (`--packages`): through the build's proxy, with its certificates."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import struct
from collections.abc import Iterable
from pathlib import Path

from sparkqfs import durable
from sparkqfs_runtime.supervise.setup import EX_CONFIG, PROGRAMS, Setup, die, write_private

FILE = "downloads.json"
"""As plan/programs/downloads.py writes it; absent where nothing special is needed."""
SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
"""The authorities that Debian, and so Java's own trust store, trusts."""
PASSWORD = "changeit"
"""Java's own default: the store holds nothing secret, the password is a part of its checksum."""
DIRECT = "localhost|127.*|[::1]|10.*|192.168.*|" + "|".join(f"172.{number}.*" for number in range(16, 32))
"""Private addresses are reached without the proxy: the cluster's own, and a repository next to it."""
PEM = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)


SPARK_ENV = """\
# Written at the container's start. Every spark-submit reads it: packages are downloaded by one of them at a time.
defaults={defaults}
if [[ "$*" == *deploy.SparkSubmit* ]] && {{
    [[ "$*" == *packages* || "$*" == *--properties-file* ]] || grep -q '^spark\\.jars\\.packages' "$defaults"
}}; then
    {program} "$@" >&2 || exit $?
fi
unset defaults
"""


def prepare(setup: Setup) -> None:
    """For the JVM of spark-submit, under which all drivers run. Exits 78 when the settings cannot be read."""
    program = PROGRAMS / "resolve-packages"
    text = SPARK_ENV.format(program=shlex.quote(str(program)), defaults=shlex.quote(str(setup.defaults)))
    write_private(setup.conf_dir / "spark-env.sh", text)
    options(setup)


def options(setup: Setup) -> None:
    """Proxy and certificates in SPARK_SUBMIT_OPTS, which spark-submit gives to its JVM."""
    file = setup.etc / FILE
    if not file.is_file():
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        words = proxy_options(found["proxy"])
        if found["certificates"]:
            words += trust_options(setup, found["certificates"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        die(EX_CONFIG, f"cannot read {file}: {error}")
    given = setup.get("SPARK_SUBMIT_OPTS")
    setup.environ["SPARK_SUBMIT_OPTS"] = " ".join([*words, *([given] if given else [])])


def proxy_options(proxy: dict[str, object] | None) -> list[str]:
    """For HTTP and HTTPS alike."""
    if proxy is None:
        return []
    names = [(f"{scheme}.proxy{key.title()}", proxy[key]) for scheme in ("http", "https") for key in ("host", "port")]
    return [*(f"-D{name}={value}" for name, value in names), f"-Dhttp.nonProxyHosts={DIRECT}"]


def trust_options(setup: Setup, more: str) -> list[str]:
    """A store of Debian's authorities and these."""
    system = Path(setup.get("SPARKQFS_CA_BUNDLE", str(SYSTEM)))
    found = certificates_in(system.read_text(encoding="utf-8")) + certificates_in(more)
    store = setup.run / "trust.jks"
    durable.replace_file(store, key_store(dict.fromkeys(found)), 0o440)
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={PASSWORD}"]


def certificates_in(text: str) -> list[bytes]:
    """The certificates of a PEM text, as DER."""
    return [base64.b64decode(body) for body in PEM.findall(text)]


def key_store(certificates: Iterable[bytes]) -> bytes:
    """A Java key store (JKS, version 2) of trusted certificates.

    Source: OpenJDK 17, sun/security/provider/JavaKeyStore.java. keytool would take half a second for each of them.
    """
    entries = []
    for number, certificate in enumerate(certificates):
        alias, kind = f"ca-{number}".encode(), b"X.509"
        entries.append(
            struct.pack(">I", 2)
            + struct.pack(">H", len(alias))
            + alias
            + struct.pack(">Q", 0)
            + struct.pack(">H", len(kind))
            + kind
            + struct.pack(">I", len(certificate))
            + certificate
        )
    body = struct.pack(">III", 0xFEEDFEED, 2, len(entries)) + b"".join(entries)
    checked = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + checked.digest()
