"""The user of the embedded server, made by a root shell whose PATH names few folders."""

import os
from pathlib import Path

import pytest

from repayment_platform.warehouse import WarehouseUnavailable, server_user


def test_the_program_that_makes_the_user_is_found_where_administrators_have_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is a stand-in that notes how it was called: a test adds no users."""
    noted = tmp_path / "noted"
    useradd = tmp_path / "sbin" / "useradd"
    useradd.parent.mkdir()
    useradd.write_text(f'#!/bin/sh\necho "$@" >{noted}\n')
    useradd.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(server_user, "SYSTEM_USER", "repayment-test-nobody")
    monkeypatch.setattr(server_user, "ADMINISTRATORS", (str(useradd.parent), "/bin"))
    with pytest.raises(WarehouseUnavailable, match="no user could be made"):
        server_user._system_user()
    assert "--system" in noted.read_text()


def test_the_folders_of_administrators_are_looked_through_last() -> None:
    path = server_user._path().split(os.pathsep)
    assert path[-3:] == ["/usr/local/sbin", "/usr/sbin", "/sbin"]
    assert server_user._path().startswith(os.environ["PATH"])
