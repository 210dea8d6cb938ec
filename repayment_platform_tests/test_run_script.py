"""The `run` script: what it says where Python is missing, and how it installs.

A real installation downloads too much for a test; here uv is a script that notes its arguments.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repayment_platform.settings import ROOT

TOOLS = ("sh", "dirname", "cksum", "cat", "cut", "rm")
FAKE_UV = """#!/bin/sh
[ "$1" = --version ] && {{ echo "uv {version}"; exit; }}
echo "$*" >>"$(dirname "$0")/../../uv.log"
sleep 0.3
[ ! -e "$(dirname "$0")/../../uv.fails" ]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the script in a directory with a space, whose commands echo their arguments."""
    path = tmp_path / "my clone"
    (path / "repayment_platform").mkdir(parents=True)
    shutil.copy(ROOT / "run", path / "run")
    (path / "uv.lock").write_text("first\n")
    (path / "repayment_platform" / "cli.py").write_text("import sys; print(sys.argv[1:])\n")
    return path


@pytest.fixture
def installed(clone: Path) -> Path:
    """A clone whose virtual environment stands, as after an installation with that uv."""
    version = (ROOT / "run").read_text().partition("UV_VERSION=")[2].split()[0]
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", clone / ".venv"), check=True)
    uv = clone / ".venv" / "bin" / "uv"
    uv.write_text(FAKE_UV.format(version=version))
    uv.chmod(0o755)
    (clone / ".venv" / ".whole").write_text(f"{clone}\n")
    return clone


def run(clone: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (clone / "run", *arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "", **env},
    )


def syncs(clone: Path) -> list[str]:
    log = clone / "uv.log"
    return log.read_text().splitlines() if log.exists() else []


def bin_with(directory: Path, **programs: str) -> str:
    """A PATH with nothing but the tools the script uses and some programs of ours."""
    directory.mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(str(shutil.which(tool)))
    for name, body in programs.items():
        (directory / name).write_text(f"#!/bin/sh\n{body}\n")
        (directory / name).chmod(0o755)
    return str(directory)


def test_no_fitting_python_says_what_to_install(clone: Path, tmp_path: Path) -> None:
    path = bin_with(tmp_path / "bin", python3="exit 1", **{"apt-get": ""})
    refused = run(clone, "status", PATH=path)
    assert "Python 3.11, 3.12 or 3.13 is needed" in refused.stderr
    assert "apt-get install python3 python3-venv" in refused.stderr
    assert refused.returncode == 1


def test_a_python_without_venv_says_which_package_brings_it(clone: Path, tmp_path: Path) -> None:
    lacks_venv = "case $2 in *ensurepip*) exit 1;; esac"
    path = bin_with(tmp_path / "bin", **{"python3.12": lacks_venv, "apt-get": ""})
    refused = run(clone, "status", PATH=path)
    assert "python3.12 has no venv" in refused.stderr
    assert "apt-get install python3-venv\n" in refused.stderr
    assert refused.returncode == 1


def test_arguments_reach_the_command_as_they_were_given(installed: Path) -> None:
    assert run(installed, "sql", "SELECT  1", "--csv").stdout == "['sql', 'SELECT  1', '--csv']\n"


def test_modules_of_the_current_directory_are_not_imported(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "repayment_platform").mkdir()
    (tmp_path / "repayment_platform" / "cli.py").write_text("print('a stranger')\n")
    shown = subprocess.run(
        (installed / "run", "status"), capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert shown.stdout == "['status']\n"


def test_packages_are_synced_once_for_each_lock(installed: Path) -> None:
    for _ in range(2):
        assert run(installed, "status").returncode == 0
    assert len(syncs(installed)) == 1
    (installed / "uv.lock").write_text("second\n")
    run(installed, "status")
    assert len(syncs(installed)) == 2
    assert all("--frozen" in line and "--no-dev" in line for line in syncs(installed))


def test_two_first_runs_at_once_install_once(installed: Path) -> None:
    commands = [
        subprocess.Popen((installed / "run", "status"), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [command.communicate()[0] for command in commands] == ["['status']\n"] * 2
    assert len(syncs(installed)) == 1


def test_a_failed_installation_is_said_and_made_anew(installed: Path) -> None:
    (installed / "uv.fails").touch()
    failed = run(installed, "status")
    assert failed.stderr.splitlines() == [
        "Trying again with this machine's own certificates.",
        "run: could not install the packages of uv.lock",
    ]
    assert failed.returncode == 1
    assert not (installed / ".venv" / ".whole").exists()


def test_it_is_portable_shell() -> None:
    subprocess.run(("sh", "-n", ROOT / "run"), check=True)
    subprocess.run(("sh", "-n", ROOT / ".ci" / "run"), check=True)
    assert os.access(ROOT / "run", os.X_OK)
