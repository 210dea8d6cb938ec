"""The life of the embedded server: real processes that join, leave, and are killed."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from repayment_platform.file_locks import alone
from repayment_platform.warehouse import WarehouseUnavailable, embedded
from repayment_platform.warehouse.embedded import EmbeddedServer, embedded_postgres
from repayment_platform.warehouse.postmaster import Postmaster
from repayment_platform.warehouse.server_user import server_user
from repayment_platform_tests.waiting import wait_until
from repayment_platform_tests.warehouse.users import User


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home whose data directory is made and whose server is stopped; its path is awkward."""
    parent = Path(tempfile.mkdtemp(prefix="it's a home with spaces "))
    home = parent / ("long " * 25).strip()
    with embedded_postgres(home):
        pass
    yield home
    shutil.rmtree(parent)


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    yield made_home
    assert EmbeddedServer(made_home).stop_if_unused()


@pytest.fixture
def empty_home() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="empty "))
    yield parent / "home"
    assert EmbeddedServer(parent / "home").stop_if_unused()
    shutil.rmtree(parent)


def server_pid(home: Path) -> int:
    return int((home / "pgdata" / "postmaster.pid").read_text().split()[0])


def is_up(home: Path) -> bool:
    return Postmaster(home / "pgdata").alive()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[::2])
def test_users_come_and_go_in_any_order_and_the_last_stops_the_server(
    home: Path, order: tuple[int, ...]
) -> None:
    users = [User(home).joined() for _ in range(3)]
    for i, leaver in enumerate(order):
        users[leaver].leave()
        for user in order[i + 1 :]:
            assert users[user].ask("SELECT 1") == "(1,)"
    assert not is_up(home)
    assert not Path(EmbeddedServer(home).urls().host).exists()


def test_users_that_start_at_once_share_one_server(empty_home: Path) -> None:
    users = [User(empty_home) for _ in range(4)]
    identifiers = {
        u.joined().ask("SELECT system_identifier FROM pg_control_system()") for u in users
    }
    assert len(identifiers) == 1
    for user in users:
        user.leave()
    assert not is_up(empty_home)


@pytest.mark.faults
def test_killing_the_user_that_started_the_server_takes_it_from_nobody(home: Path) -> None:
    starter, other = User(home).joined(), User(home).joined()
    starter.kill()
    assert other.ask("SELECT 1") == "(1,)"
    other.leave()
    assert not is_up(home)


@pytest.mark.faults
def test_a_server_whose_users_were_all_killed_is_taken_over_and_stopped(home: Path) -> None:
    User(home).joined().kill()
    before = server_pid(home)
    heir = User(home).joined()
    assert server_pid(home) == before
    heir.leave()
    assert not is_up(home)


@pytest.mark.faults
def test_a_child_of_a_killed_user_keeps_its_server(home: Path) -> None:
    parent = User(home).joined()
    child = int(parent.ask("child"))
    parent.kill()
    User(home).joined().leave()
    assert is_up(home)
    os.kill(child, signal.SIGKILL)
    wait_until(EmbeddedServer(home).stop_if_unused)
    assert not is_up(home)


@pytest.mark.faults
def test_what_a_killed_user_was_asking_for_is_given_up(home: Path) -> None:
    asking = User(home).joined()
    asking.tell("SELECT count(*) FROM generate_series(1, 1e12)")
    with embedded_postgres(home) as urls, psycopg.connect(urls.psycopg, autocommit=True) as watch:

        def at_work() -> bool:
            others = (
                "SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
            )
            return watch.execute(others).fetchone() is not None

        wait_until(at_work)
        asking.kill()
        wait_until(lambda: not at_work())


@pytest.mark.faults
def test_a_killed_server_is_started_again_with_what_was_committed(home: Path) -> None:
    writer = User(home).joined()
    writer.ask("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(server_pid(home), signal.SIGKILL)
    wait_until(lambda: not is_up(home))
    reader = User(home).joined()
    assert reader.ask("SELECT answer FROM kept") == "(42,)"
    writer.leave()
    assert reader.ask("DROP TABLE kept") == "done"
    reader.leave()


@pytest.mark.faults
def test_a_number_in_left_over_files_that_another_process_has_by_now_does_not_stop_the_start(
    home: Path,
) -> None:
    user = User(home).joined()
    killed = server_pid(home)
    sockets = Path(EmbeddedServer(home).urls().host)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not is_up(home))
    user.leave()
    as_server = server_user(home / "pgdata").uid
    with subprocess.Popen(("sleep", "60"), user=as_server) as other:
        for file in (home / "pgdata" / "postmaster.pid", *sockets.glob("*.lock")):
            file.write_text(file.read_text().replace(str(killed), str(other.pid), 1))
        with embedded_postgres(home) as urls:
            psycopg.connect(urls.psycopg).close()
        other.kill()


@pytest.mark.faults
def test_a_kill_while_the_data_directory_is_made_leaves_nothing_half_made(empty_home: Path) -> None:
    user = User(empty_home)
    wait_until(lambda: bool(list(empty_home.glob("pgdata.new-*"))))
    user.kill()
    assert not (empty_home / "pgdata").exists()
    with embedded_postgres(empty_home) as urls:
        psycopg.connect(urls.psycopg).close()
    assert not list(empty_home.glob("pgdata.new-*"))


def test_data_of_another_major_version_is_refused_in_one_line(empty_home: Path) -> None:
    (empty_home / "pgdata").mkdir(parents=True)
    (empty_home / "pgdata" / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(WarehouseUnavailable, match=r"made by PostgreSQL 16 and this is 18: [^\n]*$"),
        embedded_postgres(empty_home),
    ):
        pass


def test_a_server_that_cannot_start_says_why_in_one_line(home: Path) -> None:
    settings = home / "pgdata" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_buffers = 'a lot'\n")
    try:
        with (
            pytest.raises(
                WarehouseUnavailable, match=r"did not start: [^\n]*contains errors; see [^\n]*$"
            ),
            embedded_postgres(home),
        ):
            pass
    finally:
        settings.write_text(before)


def test_nothing_listens_on_a_port_unless_asked(home: Path) -> None:
    with embedded_postgres(home) as urls, psycopg.connect(urls.psycopg) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_a_port_asked_for_is_on_loopback_and_wants_the_password(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with embedded_postgres(home, tcp_port=port):
        password = (home / "pg.password").read_text()
        address = f"host=127.0.0.1 port={port} user=repayment dbname=repayment"
        with psycopg.connect(address, password=password) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(address, password="guess")
    assert (home / "pg.password").stat().st_mode & 0o077 == 0


def test_a_socket_directory_that_others_can_enter_is_refused(home: Path) -> None:
    with embedded_postgres(home) as urls:
        sockets = Path(urls.host)
        assert sockets.stat().st_mode & 0o777 == 0o700
    sockets.mkdir(mode=0o755)
    try:
        with (
            pytest.raises(WarehouseUnavailable, match="is not a private directory"),
            embedded_postgres(home),
        ):
            pass
    finally:
        sockets.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="is about being root")
def test_for_root_the_server_runs_as_another_user_who_may_only_pass_through(
    empty_home: Path,
) -> None:
    assert empty_home.parent.stat().st_mode & 0o777 == 0o700
    with embedded_postgres(empty_home):
        assert Path(f"/proc/{server_pid(empty_home)}").stat().st_uid != 0
        assert empty_home.parent.stat().st_mode & 0o777 == 0o701
        assert (empty_home / "pgdata").stat().st_mode & 0o777 == 0o700


def test_a_process_that_has_joined_joins_again_without_a_lock_a_program_or_a_thread_in_between(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_postgres(home) as first:
        monkeypatch.setattr(subprocess, "Popen", forbidden)
        monkeypatch.setattr(os, "open", forbidden)  # every lock is a file
        with embedded_postgres(home) as second:
            assert second is first
        monkeypatch.undo()
        with psycopg.connect(first.psycopg) as connection:  # the inner one has not stopped it
            connection.execute("SELECT 1")
    assert not is_up(home)


def test_one_that_runs_already_is_joined_without_a_program(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = User(home).joined()
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    with embedded_postgres(home) as urls, psycopg.connect(urls.psycopg):
        pass
    monkeypatch.undo()
    other.leave()


def test_who_cannot_join_because_another_is_starting_the_server_is_told_which_process_that_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)
    with (
        alone(home / "pg.start.lock", "start PostgreSQL"),
        pytest.raises(
            WarehouseUnavailable,
            match=f"held by process {os.getpid()}, to start PostgreSQL; gave up after 0 s$",
        ),
        embedded_postgres(home),
    ):
        pass


def forbidden(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("nothing of the kind is needed")


def test_a_server_whose_files_are_gone_is_not_started_again_as_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailable, match="pgdata is gone"):
        EmbeddedServer(tmp_path).start_again(None)
    assert not (tmp_path / "pgdata").exists()


def test_who_waits_for_a_server_that_hangs_is_told_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded, "SAY_SECONDS", 0)
    monkeypatch.setattr(embedded, "PATIENCE_SECONDS", 1)
    with embedded_postgres(home):
        server = server_pid(home)
        os.kill(server, signal.SIGSTOP)
        try:
            with pytest.raises(WarehouseUnavailable, match="PostgreSQL does not answer"):
                EmbeddedServer(home).join(None)
        finally:
            os.kill(server, signal.SIGCONT)
    assert capsys.readouterr().err.count("waiting: PostgreSQL runs and does not answer") == 1
