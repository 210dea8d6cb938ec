"""What somebody does who has just cloned the project: `./run demo`, with an empty HOME."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform_tests.ports import free_port
from repayment_platform_tests.project_copy import copy_project


@pytest.fixture
def place() -> Iterator[Path]:
    """Not below pytest's own directory, which is closed to the user that runs PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="repayment-clone-") as folder:
        yield Path(folder)


@pytest.mark.whole
@pytest.mark.timeout(900)
def test_the_demo_installs_all_it_needs_and_its_ledger_equals_the_truth(place: Path) -> None:
    clone, home = place / "a clone", place / "home"
    copy_project(clone)
    home.mkdir()
    network = {n: v for n, v in os.environ.items() if n.startswith(("PIP_", "UV_", "SSL_"))}
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "SANDBOX_PORT": str(free_port())}

    done = subprocess.run(
        (clone / "run", "demo"),
        cwd=place,
        env=network | env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The ledger equals the truth, payment by payment." in done.stdout
