"""Certificates good and bad, and servers that show them.

A CA of the tests' own signs what is good. Each bad one has one fault of those that the platform
must tell apart.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXPIRED, EARLY, SELF_SIGNED = "expired", "early", "self_signed"
UNKNOWN_CA, WRONG_NAME = "unknown_ca", "wrong_name"
BAD = (EXPIRED, EARLY, SELF_SIGNED, UNKNOWN_CA, WRONG_NAME)

SAYS = {
    EXPIRED: "Fineract's certificate has expired: put a new one into Fineract's key store",
    EARLY: "Fineract's certificate is not valid yet: is the clock of this machine right?",
    SELF_SIGNED: "Fineract's certificate is self-signed, nobody vouches for it: give Fineract one "
    "of a CA, or set FINERACT_CA_FILE to a PEM file of this very certificate",
    UNKNOWN_CA: "Fineract's certificate is of a CA that is not trusted here: set FINERACT_CA_FILE "
    "to a PEM file of that CA's certificate, and have Fineract send those in between",
    WRONG_NAME: "Fineract's certificate is not for localhost: set FINERACT_BASE_URL to a name that "
    "it bears, or give Fineract one for this name",
}
"""What the platform says of each, where the CA of the good ones is trusted."""


@dataclass(frozen=True)
class Certificates:
    """PEM files of a folder: the CA, and certificates for `localhost` with their keys."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def __getitem__(self, name: str) -> Path:
        """`good`, or one of `BAD`."""
        return self.folder / f"{name}.pem"


def make_certificates(folder: Path) -> Certificates:
    made = Certificates(folder)
    ca, stranger, day = trustme.CA(), trustme.CA(), timedelta(days=1)
    now = datetime.now(UTC)
    ca.cert_pem.write_to_path(made.ca)
    leaves = {
        "good": ca.issue_cert("localhost"),
        EXPIRED: ca.issue_cert("localhost", not_before=now - 9 * day, not_after=now - day),
        EARLY: ca.issue_cert("localhost", not_before=now + day),
        UNKNOWN_CA: stranger.issue_cert("localhost"),
        WRONG_NAME: ca.issue_cert("fineract.example"),
    }
    for name, leaf in leaves.items():
        leaf.private_key_and_cert_chain_pem.write_to_path(made[name])
    made[SELF_SIGNED].write_bytes(self_signed("localhost"))
    return made


def self_signed(host: str) -> bytes:
    """As `keytool -genkeypair` makes one: key and certificate, in PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + certificate.public_bytes(
        pem
    )


def serving_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@contextmanager
def showing(certificate: Path) -> Iterator[tuple[str, list[str]]]:
    """A server on TLS: its address as a Fineract, and what it was asked. It knows no path."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = serving_with(certificate).wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            yield f"https://localhost:{port}/fineract-provider/api/v1", asked
        finally:
            server.shutdown()
