"""What happens on the wire, and what each break of it proves. A real server breaks it."""

import asyncio
import json
import logging
import socket
import ssl
import time
from pathlib import Path

import pytest

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    LookupFailed,
    Posted,
    Repayment,
    SystemFault,
    Unknown,
    Unreached,
)
from repayment_platform.fineract.trust import UnusableCaFileError, trusting
from repayment_platform.fineract.wire import MAX_REPLY_BYTES
from repayment_platform_tests.certificates import (
    BAD,
    SAYS,
    SELF_SIGNED,
    UNKNOWN_CA,
    Certificates,
    serving_with,
)
from repayment_platform_tests.fineract.conftest import make_client
from repayment_platform_tests.fineract.raw_server import (
    RawServer,
    Script,
    hangs,
    http,
    resets,
    sends,
    sends_and_closes,
    trickles,
)
from repayment_platform_tests.fineract.values import (
    KEY,
    PASSWORD,
    REPAYMENT,
    SUCCESS,
)

pytestmark = pytest.mark.anyio

OK = http(200, json.dumps(SUCCESS))
HALF = OK[: len(OK) // 2]
TOO_LONG = http(200, b" " * MAX_REPLY_BYTES + json.dumps(SUCCESS).encode())


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" " * 65536)
        await writer.drain()


@pytest.mark.parametrize(
    "breaks",
    [
        resets,
        sends_and_closes(b""),
        sends_and_closes(HALF),
        sends_and_closes(OK[:-1]),
        sends(b"gibberish\r\n\r\n"),
        sends(TOO_LONG),
        endless,
    ],
    ids=["reset", "close", "half", "cut", "gibberish", "long", "endless"],
)
async def test_a_request_whose_answer_never_comes_whole_is_unknown(
    raw: RawServer, client: FineractClient, breaks: Script
) -> None:
    raw.plays(breaks)
    reply = await client.post_repayment(REPAYMENT, KEY)
    assert isinstance(reply, Unknown)
    assert reply.server_trouble
    assert not reply.already_there
    lookup = await client.find_transaction("LN-1", "pay-1")
    assert isinstance(lookup, LookupFailed)
    assert lookup.server_trouble
    assert not lookup.system_fault


async def test_a_post_is_never_sent_twice(raw: RawServer, client: FineractClient) -> None:
    raw.plays(resets)
    await client.post_repayment(REPAYMENT, KEY)
    assert len(raw.received) == 1


@pytest.mark.parametrize(
    "slow",
    [hangs, trickles(OK, 0.05), trickles(b"HTTP/1.1 100 Continue\r\n\r\n" * 500, 0.01)],
    ids=["silent", "trickling", "continuing"],
)
async def test_no_answer_outlasts_the_time_out_however_it_trickles(
    raw: RawServer, slow: Script
) -> None:
    raw.plays(slow, OK)
    async with make_client(raw.base_url, timeout_seconds=0.4) as client:
        started = time.monotonic()
        reply = await client.post_repayment(REPAYMENT, KEY)
        assert time.monotonic() - started < 1
        assert isinstance(reply, Unknown)
        assert reply.server_trouble
        assert await client.post_repayment(REPAYMENT, KEY) == Posted(22), "the client lives on"


async def test_a_cancelled_call_leaves_a_client_that_works(raw: RawServer) -> None:
    raw.plays(hangs, OK)
    async with make_client(raw.base_url) as client:
        call = asyncio.create_task(client.post_repayment(REPAYMENT, KEY))
        await asyncio.sleep(0.1)
        assert raw.received
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)


async def test_a_keep_alive_connection_that_dies_under_the_next_request_is_unknown(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(OK, resets)
    assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)
    assert isinstance(await client.post_repayment(REPAYMENT, KEY), Unknown)
    assert raw.connections == 1
    assert len(raw.received) == 2


async def test_an_idle_connection_closed_by_the_server_is_replaced(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(sends_and_closes(OK))
    assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)
    await asyncio.sleep(0.05)
    assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)
    assert raw.connections == 2


async def test_one_connection_serves_many_requests(raw: RawServer, client: FineractClient) -> None:
    raw.plays(OK)
    for _ in range(20):
        await client.post_repayment(REPAYMENT, KEY)
    assert raw.connections == 1


async def test_an_answer_left_over_from_another_repayment_is_no_success(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(OK + OK)
    assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)
    another = Repayment("LN-1", "pay-2", REPAYMENT.transaction_date, REPAYMENT.amount)
    assert isinstance(await client.post_repayment(another, KEY), Unknown)


async def test_a_redirect_takes_neither_money_nor_password_elsewhere(
    raw: RawServer, client: FineractClient
) -> None:
    async with RawServer() as elsewhere:
        elsewhere.plays(OK)
        for status in (301, 302, 303, 307, 308):
            raw.plays(http(status, "", None, Location=f"{elsewhere.base_url}/loans"))
            assert isinstance(await client.post_repayment(REPAYMENT, KEY), SystemFault)
            lookup = await client.find_transaction("LN-1", "pay-1")
            assert isinstance(lookup, LookupFailed)
            assert lookup.system_fault
        assert elsewhere.received == []


async def test_a_proxy_of_the_environment_is_not_used(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        raw.plays(OK)
        async with make_client(raw.base_url) as client:
            assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)
        assert proxy.received == []


# Nothing was sent -------------------------------------------------------------------------


async def is_proven_unsent(base_url: str, *, passes: bool = True, **options: object) -> None:
    async with make_client(base_url, timeout_seconds=0.9, **options) as client:
        reply = await client.post_repayment(REPAYMENT, KEY)
        assert isinstance(reply, Unreached if passes else SystemFault), reply
        assert reply.code == "connection"
        assert "/loans/" not in str(reply)  # a path holds the loan
        lookup = await client.find_transaction("LN-1", "pay-1")
        assert isinstance(lookup, LookupFailed)
        assert (lookup.server_trouble, lookup.system_fault) == (passes, not passes)


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    await is_proven_unsent(f"http://127.0.0.1:{port}/api")


async def test_an_unknown_host_proves_that_nothing_was_sent() -> None:
    await is_proven_unsent("https://no-such-host.invalid/api")


async def test_a_connection_that_does_not_come_about_in_time_proves_that_nothing_was_sent() -> None:
    # A listener with a full backlog answers no further handshake.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            await is_proven_unsent(f"http://127.0.0.1:{full.getsockname()[1]}/api")
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 no TLS here\r\n\r\n", b""])
async def test_a_server_without_tls_proves_that_nothing_was_sent(greeting: bytes) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(greeting)
        await (writer.drain() if greeting else asyncio.sleep(2))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await is_proven_unsent(f"https://127.0.0.1:{port}/api")


async def test_a_server_without_tls_is_told_from_one_that_is_away() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no TLS here\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with make_client(f"https://127.0.0.1:{port}/api") as client:
            reply = await client.post_repayment(REPAYMENT, KEY)
    assert "Fineract speaks no TLS at this address" in str(reply)


@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_certificate_gets_neither_password_nor_money_but_its_sentence(
    certificates: Certificates, fault: str
) -> None:
    trusted = trusting(certificates.ca)
    async with RawServer(serving_with(certificates[fault])) as raw:
        raw.plays(OK)
        address = raw.base_url.replace("127.0.0.1", "localhost")
        await is_proven_unsent(address, tls=trusted, passes=False)
        async with make_client(address, tls=trusted) as client:
            assert await client.post_repayment(REPAYMENT, KEY) == SystemFault(
                "connection", SAYS[fault]
            )
        assert raw.received == []


@pytest.mark.parametrize(("shown", "named"), [("good", "ca"), (SELF_SIGNED, SELF_SIGNED)])
async def test_what_vouches_for_a_certificate_is_trusted_where_it_is_named_and_only_there(
    certificates: Certificates, shown: str, named: str
) -> None:
    async with RawServer(serving_with(certificates[shown])) as raw:
        raw.plays(OK)
        address = raw.base_url.replace("127.0.0.1", "localhost")
        async with make_client(address) as client:
            refused = await client.post_repayment(REPAYMENT, KEY)
            unknown = UNKNOWN_CA if shown == "good" else SELF_SIGNED
            assert refused == SystemFault("connection", SAYS[unknown])
        assert raw.received == []
        async with make_client(address, tls=trusting(certificates[named])) as client:
            assert await client.post_repayment(REPAYMENT, KEY) == Posted(22)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "holds no certificate in PEM"),
        (b"0\x82\x01", "holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "in PEM"),
    ],
    ids=["missing", "empty", "der", "cut"],
)
def test_a_file_that_vouches_for_nothing_is_refused(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnusableCaFileError, match=f"^{file} .*{says}"):
        trusting(file)


def test_the_systems_trust_is_loaded_once_and_checks_host_names() -> None:
    assert trusting(None).verify_mode is ssl.CERT_REQUIRED
    assert trusting(None).check_hostname
    assert trusting(None) is trusting(None)


# Secrets ----------------------------------------------------------------------------------


async def test_the_password_shows_in_no_repr_error_or_log(
    raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raw.plays(http(401, "", None))
    async with make_client(raw.base_url) as client:
        seen = [repr(client), str(vars(client)), repr(await client.post_repayment(REPAYMENT, KEY))]
    seen += [record.getMessage() for record in caplog.records]
    token = raw.received[0].headers["authorization"].removeprefix("Basic ")
    for secret in (PASSWORD.get_secret_value(), token):
        assert not any(secret in text for text in seen)
