"""A site that publishes the metadata of a client, by https on the loopback."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.oauth.flow import CALLBACK
from tests.receivers import served


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Writes a self-signed certificate of 127.0.0.1, and its key."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), made)
    signed = builder.not_valid_after(made + timedelta(days=9)).add_extension(names, critical=False).sign(key, None)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


class Publisher:
    """A site that publishes a client's metadata; each attribute is how it may differ."""

    def __init__(self, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}/client.json"
        self.requests: list[str] = []
        self.agents: set[str | None] = set()
        self.status, self.location = 200, ""
        self.document: Any = {"client_id": self.url, "client_name": "Published", "redirect_uris": [CALLBACK]}

    @property
    def body(self) -> bytes:
        return self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()


@contextmanager
def publishing(folder: Path) -> Iterator[tuple[Publisher, Path]]:
    certificate, key = write_certificate(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            found.agents.add(self.headers.get("user-agent"))
            self.send_response(found.status)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Publisher(server.server_port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server):
        yield found, certificate
