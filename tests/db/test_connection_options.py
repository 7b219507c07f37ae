"""Any PostgreSQL URL, in the form that its provider gives."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from app.config import Settings
from app.db.connection_options import ConnectOptions, connect_options
from app.main import create_app
from tests.databases import server_address
from tests.faults.proxy import open_connection
from tests.support import SECRET, Person


def options(url: str, **settings: Any) -> ConnectOptions:
    return connect_options(url, Settings(_env_file=None, **settings))


def parsed(url: str) -> tuple[list[Any], Any]:
    """Returns the driver's parsing of the URL: hosts, and the other parameters."""
    found = options(url)
    keywords = dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "service", "servicefile", "direct_tls",
         "target_session_attrs", "krbsrvname", "gsslib")
    )  # fmt: skip
    arguments = found.arguments()
    return _parse_connect_dsn_and_args(  # type: ignore[no-any-return]
        dsn=found.dsn, ssl=arguments.get("ssl"), server_settings=arguments.get("server_settings"), **keywords
    )


NEON = "postgresql://owner:npg_x@ep-a-1.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require"
POOLED_NEON = NEON.replace("ep-a-1.", "ep-a-1-pooler.")


@pytest.mark.parametrize(
    ("url", "addresses", "user", "password", "database"),
    [
        (NEON, [("ep-a-1.eu-central-1.aws.neon.tech", 5432)], "owner", "npg_x", "neondb"),
        ("postgres://u:p@h/d", [("h", 5432)], "u", "p", "d"),
        ("postgresql+asyncpg://u:p@h:5433/d", [("h", 5433)], "u", "p", "d"),
        ("postgresql+psycopg://u:p@h/d", [("h", 5432)], "u", "p", "d"),
        ("  postgresql://u:p@h/d\n", [("h", 5432)], "u", "p", "d"),
        ("postgresql://u:p%40s%2Fs%3A%23%25@h/d", [("h", 5432)], "u", "p@s/s:#%", "d"),
        ("postgresql://u:p@ss:word@h/d", [("h", 5432)], "u", "p@ss:word", "d"),  # not escaped, yet unambiguous
        ("postgresql://u:100%@h/d", [("h", 5432)], "u", "100%", "d"),
        ("postgresql://u%40tenant:p@h/d", [("h", 5432)], "u@tenant", "p", "d"),
        ("postgresql://u:p@[2001:db8::1]:5433/d", [("2001:db8::1", 5433)], "u", "p", "d"),
        ("postgresql://u:p@a:5433,b:5434/d?target_session_attrs=primary", [("a", 5433), ("b", 5434)], "u", "p", "d"),
        ("postgresql://u@/d?host=/var/run/postgresql", ["/var/run/postgresql/.s.PGSQL.5432"], "u", None, "d"),
        ("postgresql:///d?host=/tmp/a%20b&port=6000&user=u", ["/tmp/a b/.s.PGSQL.6000"], "u", None, "d"),
        ("postgresql://u:p@h", [("h", 5432)], "u", "p", "u"),  # no database name: the user's name, as in libpq
        ("postgresql://u:p@h/my%20db", [("h", 5432)], "u", "p", "my db"),
        # Parameters of Prisma, SQLAlchemy, JDBC and libpq
        ("postgresql://u:p@h/d?schema=public&connection_limit=5&pool_timeout=0", [("h", 5432)], "u", "p", "d"),
        ("postgresql://u:p@h/d?connect_timeout=10&keepalives=1&gssencmode=disable", [("h", 5432)], "u", "p", "d"),
    ],
)
def test_a_url_is_parsed_into_hosts_user_password_and_database(
    url: str, addresses: list[Any], user: str, password: str | None, database: str
) -> None:
    found, parameters = parsed(url)
    assert found == addresses
    assert (parameters.user, parameters.database) == (user, database)
    assert parameters.password == password
    assert set(parameters.server_settings) == set(options(url).server_settings)  # nothing that a server would refuse


def test_server_settings_of_the_url_are_kept() -> None:
    _, parameters = parsed("postgresql://u:p@h/d?application_name=todo&options=endpoint%3Dep-a-1")
    assert parameters.server_settings["application_name"] == "todo"
    assert parameters.server_settings["options"] == "endpoint=ep-a-1"


@pytest.mark.parametrize(
    ("url", "setting", "pooled"),
    [
        (NEON, "auto", False),
        (POOLED_NEON, "auto", True),
        (POOLED_NEON, "on", False),
        (NEON, "off", True),
        ("postgresql://u.ref:p@aws-0-eu.pooler.supabase.com:6543/postgres", "auto", True),
        ("postgresql://u.ref:p@aws-0-eu.pooler.supabase.com:5432/postgres", "auto", False),  # Supabase's session mode
        ("postgresql://u:p@h:6432/d", "auto", True),  # PgBouncer's default port
        ("postgresql://u:p@h/d?pgbouncer=true", "auto", True),
        ("postgresql:///d?host=my-pooler.example&port=5432", "auto", True),
    ],
)
def test_a_transaction_pooler_is_recognised(url: str, setting: str, pooled: bool) -> None:
    found = options(url, statement_cache=setting)
    assert found.pooled is pooled
    assert ("server_settings" in found.arguments()) is not pooled
    assert found.arguments().get("statement_cache_size") == (0 if pooled else None)


@pytest.mark.parametrize(
    ("query", "verifies", "checks_name"),
    [
        ("sslmode=require", ssl.CERT_NONE, False),
        ("ssl=true", ssl.CERT_NONE, False),
        ("ssl=require", ssl.CERT_NONE, False),
        ("sslmode=verify-ca", ssl.CERT_REQUIRED, False),
        ("sslmode=verify-full&sslrootcert=system", ssl.CERT_REQUIRED, True),
    ],
)
def test_sslmode_has_the_meaning_of_libpq(query: str, verifies: ssl.VerifyMode, checks_name: bool) -> None:
    context = options(f"postgresql://u:p@h/d?{query}").ssl
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (verifies, checks_name)


@pytest.mark.parametrize(("query", "wanted"), [("", None), ("sslmode=disable", False), ("sslmode=prefer", "prefer")])
def test_tls_is_optional_without_sslmode_require(query: str, wanted: object) -> None:
    assert options(f"postgresql://u:p@h/d?{query}").ssl == wanted


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must begin with postgresql://"),
        ("hidden", "must begin with postgresql://"),
        ("postgresql:hidden", "must begin with postgresql://"),
        ("mysql://u:hidden@h/d", "must begin with postgresql://"),
        ("sqlite:///hidden.db", "must begin with postgresql://"),
        ("psql 'postgresql://u:hidden@h/d'", "must begin with postgresql://"),
        ("postgresql://u:hid/den@h/d", "cannot be read"),
        ("postgresql://u:12/hidden@h/d", "cannot be read"),
        ("postgresql://u:hid#den@h/d", "cannot be read"),
        ("postgresql://u:hid?den@h/d", "cannot be read"),
        ("postgresql://u:[hidden@h/d", "cannot be read"),
        ("postgresql://u:hidden@h:99999/d", "cannot be read"),
        ("postgresql://u:hidden@h:port/d", "cannot be read"),
        ("postgresql://u:hidden\uff0f@h/d", "cannot be read"),
        ("postgresql://u:hidden@h/d?sslmode=maybe", "unknown sslmode in DATABASE_URL: 'maybe'"),
        ("postgresql://u:hidden@h/d?sslmode=verify-full&sslrootcert=/no/such", "sslrootcert cannot be read"),
    ],
)
def test_an_invalid_url_is_refused_without_showing_it(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        options(url)
    assert "hid" not in str(refused.value)


def test_options_do_not_show_the_password() -> None:
    assert "npg_x" not in repr(options(NEON))


# ---- with a real server


async def test_requests_work_with_the_options_of_a_transaction_pooler(
    postgres: ConnectOptions, settings: Settings, new_person: Callable[[], Person]
) -> None:
    """Without named statements and startup parameters, though the server itself would accept them."""
    pooled = Settings(_env_file=None, database_url=postgres.dsn, jwt_secret=SECRET, statement_cache="off")
    application = create_app(pooled)
    async with application.router.lifespan_context(application):
        assert application.state.database.options.pooled
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as http:
            person = Person(http, new_person().subject)
            task = await person.add("through the pooler", tags=["a"], due_date="2026-12-01")
            for number in range(3):
                changed = await person.patch(f"/tasks/{task['id']}", {"title": f"again {number}"})
                assert changed.json()["version"] == number + 2
            assert await person.titles("?tag=a&sort=due_date") == ["again 2"]
            assert (await person.delete(f"/tasks/{task['id']}")).status_code == 204
        async with application.state.database.transaction("nobody", read_only=True) as session:
            limit = (await session.exec(text("select current_setting('statement_timeout')"))).one()
    assert limit == "5s"  # settings that a pooler refuses at startup are sent with each transaction


@pytest.fixture
async def tls(postgres: ConnectOptions, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """Serves PostgreSQL over TLS with a self-signed certificate for 127.0.0.1, and yields port and certificate."""
    certificate = certify(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["postgresql"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, ConnectionError):  # the client rejects the certificate
            writer.close()
            return
        from_server, to_server = await open_connection(server_address(postgres))
        await asyncio.gather(pipe(reader, to_server), pipe(from_server, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], certificate
    server.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def certify(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "certificate.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def test_tls_connections_verify_the_certificate(tls: tuple[int, Path]) -> None:
    port, certificate = tls
    url = f"postgresql://postgres@127.0.0.1:{port}/todo"
    for query in ("sslmode=require&channel_binding=require", f"sslmode=verify-full&sslrootcert={certificate}"):
        connection = await asyncpg.connect(**options(f"{url}?{query}").arguments())
        assert await connection.fetchval("select current_database()") == "todo"
        await connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(**options(f"{url}?sslmode=verify-full").arguments())
