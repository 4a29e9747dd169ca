"""Certificates and keys of a deployment.

At the centre, once: an authority of its own, and the server certificate that it signs.

    python certificates.py server --host federation.example.com --output pki

At each site: the key by which its node is known. The private half never leaves the site; the centre gets the other.

    python certificates.py node --name plant-a --output pki
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

AUTHORITY, SERVER = "ca", "server"
"""Names of the files: ``ca.crt`` goes to every site, ``ca.key`` into a safe, ``server.*`` stay at the centre."""


def make_server(hosts: Sequence[str], *, folder: Path, days: int) -> None:
    """Make an authority, and a certificate of the server.

    Args:
        hosts: Names and IP addresses by which sites reach the server.
        folder: Gets ``ca.crt``, ``ca.key``, ``server.crt`` and ``server.key``.
        days: Until both certificates end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP384R1())
    authority = _name("Federation authority")
    certificate = (
        _certificate(authority, authority, authority_key.public_key(), days=days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA384())
    )
    key = ec.generate_private_key(ec.SECP384R1())
    server = (
        _certificate(_name(hosts[0]), authority, key.public_key(), days=days)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA384())
    )  # fmt: skip
    for name, private, public in ((AUTHORITY, authority_key, certificate), (SERVER, key, server)):
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_private(folder / f"{name}.key", pem)
        (folder / f"{name}.crt").write_bytes(public.public_bytes(Encoding.PEM))


def make_node(name: str, *, folder: Path) -> None:
    """Make the key of a site's node.

    Args:
        name: Name of the site.
        folder: Gets ``<name>.key``, for the site alone, and ``<name>.pub``, for the centre.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP384R1())
    _write_private(
        folder / f"{name}.key", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    )  # fmt: skip
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (folder / f"{name}.pub").write_bytes(public + b"\n")


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_private(path: Path, data: bytes) -> None:
    """Write what its owner alone may read; a key that is there is never replaced."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Certificates and keys of a deployment.")
    actions = parser.add_subparsers(dest="action", required=True)
    server = actions.add_parser("server", help="an authority and the server's certificate, at the centre")
    server.add_argument("--host", nargs="+", required=True, help="names and addresses by which sites reach the server")
    server.add_argument("--days", type=int, default=825, help="until the certificates end (825)")
    node = actions.add_parser("node", help="the key of a site's node, at the site")
    node.add_argument("--name", required=True, help="name of the site")
    for action in (server, node):
        action.add_argument("--output", type=Path, default=Path("pki"), help="folder to write (pki)")
    options = parser.parse_args()
    if options.action == "server":
        make_server(options.host, folder=options.output, days=options.days)
    else:
        make_node(options.name, folder=options.output)


if __name__ == "__main__":
    main()
