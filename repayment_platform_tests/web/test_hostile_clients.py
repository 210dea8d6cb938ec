import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from repayment_platform_tests.web.receiving import Receiver, payment, razorpay_headers

MIB = 1024 * 1024
POST = b"POST /webhooks/razorpay/ugro HTTP/1.1\r\nHost: x\r\n"


def landed_bodies(connection: psycopg.Connection[Any]) -> list[bytes]:
    query = 'SELECT body FROM "RAW"."RAW_UGRO_RAZORPAY_API" ORDER BY id'
    return [body for [body] in connection.execute(query)]


def head(body: bytes, *extra: str) -> bytes:
    headers = [f"{k}: {v}" for k, v in razorpay_headers(body, "evt_raw").items()]
    return POST + "\r\n".join([*headers, *extra, "\r\n"]).encode()


def answer_of(connected: socket.socket) -> bytes:
    """What the server says until it closes, or until one answer is complete."""
    answer = b""
    try:
        while b"\r\n\r\n" not in answer and (data := connected.recv(65536)):
            answer += data
    except ConnectionResetError:
        pass
    return answer


def sent_until_closed(connected: socket.socket, data: bytes, most: int, pause: float = 0) -> int:
    """Send the same bytes again and again; how often it went before the server closed."""
    for count in range(most):
        try:
            connected.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return count
        time.sleep(pause)
    return most


def exchange(receiver: Receiver, *parts: bytes) -> bytes:
    with receiver.open_socket() as connected:
        try:
            for part in parts:
                connected.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed before everything was sent, as a server may
        return answer_of(connected)


def test_a_body_of_one_mebibyte_lands_and_one_byte_more_is_413(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    largest = b'{"a":"' + b"x" * (MIB - 8) + b'"}'
    assert len(largest) == MIB
    assert receiver.razorpay(largest, "evt_1").status_code == 200
    assert receiver.razorpay(largest + b" ", "evt_2").status_code == 413
    assert receiver.razorpay(largest * 8, "evt_3").status_code == 413
    assert landed_bodies(connection) == [largest]


def test_a_declared_length_over_the_limit_is_413_before_any_byte_of_it(receiver: Receiver) -> None:
    answer = exchange(receiver, head(b"", f"Content-Length: {MIB + 1}"))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_endless_chunked_body_is_cut_off_at_the_limit(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with receiver.open_socket() as connected:
        connected.sendall(head(b"", "Transfer-Encoding: chunked"))
        assert sent_until_closed(connected, chunk, most=1024) < 256
    assert exchange(receiver, head(b"", "Transfer-Encoding: chunked"), chunk * 17).startswith(
        b"HTTP/1.1 413 "
    )
    assert landed_bodies(connection) == []


def test_a_chunked_body_lands_as_the_bytes_it_carries(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    body = payment(1)
    pieces = [b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body))]
    chunked = head(body, "Transfer-Encoding: chunked")
    answer = exchange(receiver, chunked, b"".join(pieces), b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert landed_bodies(connection) == [body]


def test_a_lying_length_lands_nothing_that_was_not_signed(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    body = payment(1)
    short = exchange(receiver, head(body, f"Content-Length: {len(body) - 1}"), body)
    assert short[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")
    both = (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked")
    assert exchange(receiver, head(body, *both), body).startswith(b"HTTP/1.1 400 ")
    for length in ("-1", "1e3", "0x10", "9" * 5000):
        answer = exchange(receiver, head(body, f"Content-Length: {length}"), body)
        assert answer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")
    assert landed_bodies(connection) == []


def test_a_client_that_hangs_up_in_the_middle_lands_nothing_and_breaks_nothing(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    body = payment(1)
    for _ in range(20):
        with receiver.open_socket() as connected:
            connected.sendall(head(body, f"Content-Length: {len(body)}") + body[:-1])
    assert receiver.razorpay(body, "evt_1").status_code == 200
    assert landed_bodies(connection) == [body]
    assert "Traceback" not in receiver.log


def slow_clients(receiver: Receiver, stack: ExitStack) -> Iterator[socket.socket]:
    """Clients that stop: before a word, within the headers, within the body."""
    body = payment(1)
    half = head(body, f"Content-Length: {len(body)}") + body[: len(body) // 2]
    for number in range(900):
        connected = stack.enter_context(receiver.open_socket())
        connected.sendall((b"", POST + b"X-Slow: ", half)[number % 3])
        yield connected


@pytest.mark.faults
def test_slow_clients_are_let_go_and_others_are_served_meanwhile(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    with ExitStack() as stack:
        slow = list(slow_clients(receiver, stack))
        waits = []
        for number in range(100):
            began = time.monotonic()
            assert receiver.razorpay(payment(number), f"evt_{number}").status_code == 200
            waits.append(time.monotonic() - began)
        assert sorted(waits)[95] < 0.5
        with ThreadPoolExecutor(3) as pool:
            silent, headers, body = pool.map(answer_of, slow[-3:])
        assert (silent, headers) == (b"", b"")
        assert body.startswith(b"HTTP/1.1 408 ")
    assert len(landed_bodies(connection)) == 100


@pytest.mark.faults
def test_headers_without_end_or_drop_by_drop_are_cut_off(receiver: Receiver) -> None:
    with receiver.open_socket() as endless:
        endless.sendall(POST + b"X-Endless: ")
        assert sent_until_closed(endless, b"x" * 65536, most=1024) < 256
    with receiver.open_socket() as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_of(kept).startswith(b"HTTP/1.1 200 ")
        assert sent_until_closed(kept, b"\r\n", most=60, pause=0.2) < 60
