"""The fault campaign in short: a few seeds, as `./run faults` plays them.

The seeds are played by the command, in processes of its own: it forks, which a test run may not.
"""

import subprocess
import sys

import pytest

from repayment_platform.settings import ROOT
from repayment_platform_tests.faults.campaign.draw import plan_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_a_few_seeds_break_no_rule() -> None:
    command = (sys.executable, "-m", "repayment_platform.cli", "faults", "--seeds", "6")
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert played.returncode == 0, played.stdout + played.stderr
    assert "6 seeds" in played.stdout
    assert "no violation" in played.stdout


def test_a_plan_is_a_function_of_its_seed_alone() -> None:
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)
