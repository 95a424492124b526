"""The cluster's own certificate authority, and random secrets. Made here, kept only on the manager."""

from __future__ import annotations

import datetime
import ipaddress
import json
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEARS = 10


def _common_name(address: str) -> str:
    return f"sparkqfs registry {address}"


def is_for(ca_pem: str, address: str) -> bool:
    """True when this CA was made for a registry at `address` and holds for another 30 days."""
    try:
        certificate = x509.load_pem_x509_certificate(ca_pem.encode())
    except ValueError:
        return False
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    return bool(names) and names[0].value == _common_name(address) and certificate.not_valid_after_utc > soon


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def make_ca(address: str) -> tuple[str, str, str, str]:
    """A new CA and a server certificate for `address`: (CA, CA key, certificate, key), all PEM."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common_name(address))])

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        )

    ca = (
        builder(ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        name = x509.DNSName(address)
    server = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)]), key)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return ca.public_bytes(encoding).decode(), _pem(ca_key), server.public_bytes(encoding).decode(), _pem(key)


def make_secrets(names: tuple[str, ...]) -> str:
    """The cluster's secrets as one JSON document."""
    return json.dumps({name: secrets.token_hex(24) for name in names})
