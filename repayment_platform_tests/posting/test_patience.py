"""A run outlives a Fineract that does not answer for a while."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.posting.patience import Patience
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_claims import INTEND
from repayment_platform_tests.waiting import wait_until

PATIENT: dict[str, Any] = {"fineract_timeout_seconds": 0.9, "fineract_settle_seconds": 1.0}


def payments(bench: Bench, loans: int, each: int = 2) -> set[str]:
    names = [f"LN-{n}" for n in range(loans)]
    bench.loans(*names)
    return {bench.payment(name, day=DAY + timedelta(n)) for name in names for n in range(each)}


class Way:
    """A way to the sandbox that can be closed: whoever connects then is refused."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._under_way: set[asyncio.StreamWriter] = set()

    def opened(self) -> None:
        self.closed()
        self._run(self._open(self._pass_on))

    def closed(self) -> None:
        """Close it, and cut what is under way."""
        self._run(self._close())

    def proxied(self) -> None:
        """Have a proxy answer in Fineract's place, with a page of its own."""
        self.closed()
        self._run(self._open(self._refer))

    def end(self) -> None:
        self.closed()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, doing: Any) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    async def _open(self, serve: Any) -> None:
        self._server = await asyncio.start_server(serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for writer in self._under_way:
            writer.transport.abort()
        self._under_way.clear()

    async def _refer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = b"default backend - 404"
        head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(page)}\r\nConnection: close"
        writer.write(head.encode() + b"\r\n\r\n" + page)
        await writer.drain()
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._under_way |= {writer, far_writer}

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except ConnectionError:
                target.transport.abort()
            target.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


@pytest.fixture
def way(bench: Bench) -> Iterator[Way]:
    way = Way(bench.settings.sandbox_port)
    way.opened()
    yield way
    way.end()


@contextmanager
def away(
    bench: Bench, way: Way, lasts: float, leave: Callable[[Way], None] = Way.closed
) -> Iterator[None]:
    """Fineract is away for a while, once the run has posted some, or until the run has ended."""
    over = threading.Event()

    def course() -> None:
        wait_until(lambda: len(bench.ledger()) > 5)
        leave(way)
        over.wait(lasts)
        way.opened()

    thread = threading.Thread(target=course)
    thread.start()
    yield
    over.set()
    thread.join()


def test_the_same_run_posts_the_rest_when_fineract_is_back(bench: Bench, way: Way) -> None:
    keys = payments(bench, 40, 5)
    bench.faults({"kind": "latency", "ms": 50})

    with away(bench, way, lasts=3):
        summary = bench.post(sandbox_port=way.port, posting_workers=4, **PATIENT)

    assert bench.states() == dict.fromkeys(keys, "success")
    assert summary.total("posted") == len(bench.ledger()) == len(keys)


def test_a_proxys_page_in_fineracts_place_is_waited_out(bench: Bench, way: Way) -> None:
    keys = payments(bench, 20)
    with away(bench, way, 1.0, leave=Way.proxied):
        bench.post(sandbox_port=way.port, posting_workers=4, **PATIENT)

    assert bench.states() == dict.fromkeys(keys, "success")


def test_a_run_that_waits_in_vain_says_since_when_and_leaves_the_rest_queued(
    bench: Bench, way: Way
) -> None:
    keys = payments(bench, 40, 5)
    bench.faults({"kind": "latency", "ms": 50})

    with away(bench, way, lasts=60):
        summary = bench.post_stopped(
            sandbox_port=way.port, posting_workers=4, fineract_patience_seconds=2, **PATIENT
        )

    assert "Fineract has not answered for 2 s, since " in (summary.stopped or "")
    assert summary.total("failed") == 0
    assert set(bench.states().values()) <= {"success", "waiting", "unknown"}
    bench.faults()
    bench.post(**PATIENT)
    assert bench.states() == dict.fromkeys(keys, "success")


def test_a_run_that_fineract_never_answered_names_its_address_and_what_was_tried(
    bench: Bench, way: Way
) -> None:
    keys = payments(bench, 3)
    way.closed()

    summary = bench.post_stopped(sandbox_port=way.port, fineract_patience_seconds=2, **PATIENT)

    assert f"Fineract at http://127.0.0.1:{way.port}/" in (summary.stopped or "")
    assert "has not answered once in 2 s; tried to post and to read a loan" in summary.stopped
    assert "no connection to Fineract" in summary.stopped
    assert bench.states() == dict.fromkeys(keys, "waiting")
    way.opened()


def test_what_never_answered_is_waited_for_a_minute_and_what_did_as_long_as_the_setting_says() -> (
    None
):
    async def say(what: str) -> None:
        raise AssertionError(what)

    patience = Patience(StopSwitch(), 600, "http://fineract", say)
    assert patience.seconds == 60
    patience.heard()
    assert patience.seconds == 600


def test_people_are_told_since_when_fineract_does_not_answer_and_how_many_wait(
    bench: Bench, way: Way
) -> None:
    payments(bench, 3)
    for n in range(9):
        bench.payment(f"LN-{n}", lender="UGRO", recon_source="NACH")  # not of this run
    way.closed()
    told: list[str] = []

    bench.post_stopped(
        sandbox_port=way.port,
        fineract_patience_seconds=2,
        progress=lambda _summary, doing: told.append(doing),
        **PATIENT,
    )
    way.opened()

    said = r"Fineract does not answer since \d\d:\d\d:\d\d; asking again in [\d.]+ s; [56] wait"
    assert [what for what in told if re.fullmatch(said, what)] == [
        what for what in told if what != "posting"
    ]
    assert "posting" in told
    assert len(set(told)) > 2


def test_two_loans_that_fineract_cannot_read_do_not_keep_the_others_waiting(bench: Bench) -> None:
    keys = payments(bench, 10, 1)
    for loan in ("LN-3", "LN-4"):
        bench.connection.execute(INTEND, (f"of {loan}", loan, DAY, None))
    unreadable = [{"kind": "gateway", "on": "any", "loan": loan} for loan in ("LN-3", "LN-4")]
    bench.faults(*unreadable)

    bench.post(posting_workers=3, fineract_patience_seconds=6, **PATIENT)

    posted = [state for state in bench.states().values() if state == "success"]
    assert len(posted) == len(keys) - 2


def test_a_run_ends_though_fineract_fails_at_some_payments_for_ever(bench: Bench) -> None:
    keys = payments(bench, 8, 1)
    failing = [f"LN-{n}" for n in range(6)]
    bench.faults(*[{"kind": "gateway", "on": "repayment", "loan": loan} for loan in failing])

    bench.post(posting_workers=3, fineract_patience_seconds=6, **PATIENT)

    states = list(bench.states().values())
    assert states.count("success") == len(keys) - len(failing)


def test_a_job_of_fineracts_that_keeps_everybody_out_is_waited_for(bench: Bench) -> None:
    keys = payments(bench, 3)
    bench.faults({"kind": "job_running", "times": 7})

    bench.post(posting_workers=3, **PATIENT)

    assert bench.states() == dict.fromkeys(keys, "success")


def test_one_loan_that_fineract_cannot_read_does_not_stop_the_others(bench: Bench) -> None:
    keys = payments(bench, 10)
    bench.faults({"kind": "gateway", "on": "repayment", "loan": "LN-3"})

    summary = bench.post(posting_workers=3, fineract_patience_seconds=3, **PATIENT)

    posted = [state for state in bench.states().values() if state == "success"]
    assert len(posted) == len(keys) - 2, summary.stopped
