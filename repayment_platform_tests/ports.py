"""Ports for the servers of tests."""

import random
import socket


def free_port() -> int:
    """A port that nobody has, and that no outgoing connection is given before it is used."""
    while True:
        port = random.SystemRandom().randint(10_000, 30_000)
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                return port
