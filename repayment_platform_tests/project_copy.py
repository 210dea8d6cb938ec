"""A copy of the project as git knows it, with what has been changed since."""

import shutil
import subprocess
from pathlib import Path

from repayment_platform.settings import ROOT


def copy_project(to: Path) -> None:
    """Copy every tracked file; what was made or installed here stays behind."""
    tracked = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
