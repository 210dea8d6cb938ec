"""The dbt project: what is generated from the registry, its manifest, and running it.

What belongs here: a fresh manifest, and a dbt process under the dbt lock. What does not: the files
that follow from the registry (`dbt_generated`), the models and macros (`dbt_project`), the lock and
the cuts themselves (`raw_cut`).

The generated files and the manifest are made when they are older than what they are made from;
otherwise `prepare` costs a few file look-ups.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repayment_platform.file_locks import LockNotHad, alone
from repayment_platform.warehouse.advisory import Held
from repayment_platform.warehouse.dbt_build import forget_build
from repayment_platform.warehouse.dbt_generated import DbtFailed, generated
from repayment_platform.warehouse.moved import refold_moved
from repayment_platform.warehouse.raw_cut import advance_cuts, dbt_lock
from repayment_platform.warehouse.urls import DatabaseUrls

PROJECT = Path(__file__).parents[2] / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
EXECUTABLE = str(Path(sys.executable).with_name("dbt"))
END_SECONDS = 10
PARSE_SECONDS = 300
_PLACES = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))

BUILD = ("build", "--exclude-resource-types", "unit_test")
"""What a half-hourly run does, without the nightly tests; unit tests belong to a change of code."""
NIGHTLY_TESTS = "tag:nightly"
"""The data tests that read all of CORE."""
DATA_TESTS = ("--exclude-resource-types", "unit_test")
"""All data tests, the nightly ones among them."""


def prepare() -> Path:
    """Bring the generated files and the manifest up to date; returns the manifest's path.

    Needs no database. Safe when several processes do it at once: the second waits, and readers
    never see half a manifest.

    Raises:
        DbtFailed: the project does not parse, or a source has no BASE model.
    """
    # Where nothing is to be made nothing is opened to write: an image may be read-only.
    if not any(_outdated()) and not _left_over() and not _manifest_is_stale():
        return MANIFEST
    MANIFEST.parent.mkdir(exist_ok=True)
    with _alone():
        for path, text in _outdated():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        if left_over := _left_over():
            for path in left_over:
                path.unlink(missing_ok=True)
            MANIFEST.unlink(missing_ok=True)
        if _manifest_is_stale():
            _parse()
    return MANIFEST


@dataclass(frozen=True)
class DbtSession:
    """That this process alone may run dbt."""

    env: Mapping[str, str]
    """For a process of dbt."""
    lock: Held

    @contextmanager
    def resting(self, process: "subprocess.Popen[Any]") -> Iterator[None]:
        """A process of dbt is ended when the lock is lost.

        Raises:
            LockLost: on leaving, when that happened.
        """
        with self.lock.resting(lambda: _end(process)):
            yield


@contextmanager
def dbt_session(urls: DatabaseUrls) -> Iterator[DbtSession]:
    """Hold the dbt lock, with the RAW cuts advanced.

    What waits for a path that is not its lender's any more is marked to be folded anew.

    A second session, in any process, waits for the first.

    Raises:
        LockNotHad, LockLost: see `dbt_lock`.
    """
    with dbt_lock(urls) as lock:
        advance_cuts(urls)
        refold_moved(urls)
        yield DbtSession({**os.environ, **urls.dbt_env}, lock)


def run_dbt(urls: DatabaseUrls, args: Sequence[str], target: Path = MANIFEST.parent / "cli") -> int:
    """Run one dbt command under the lock; returns its exit code. Its output is not captured.

    `target` is where dbt keeps what it has parsed and puts its artifacts: one folder for each
    database, because what was parsed for another one is parsed again.
    """
    prepare()
    places = (*_PLACES, "--target-path", str(target))
    with dbt_session(urls) as session:
        forget_build(urls)
        with (
            subprocess.Popen([EXECUTABLE, *args, *places], env=session.env) as process,
            session.resting(process),
        ):
            return process.wait()


def _end(process: "subprocess.Popen[Any]") -> None:
    """Interrupted, dbt cancels what it has asked of the database; else it is killed."""
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + END_SECONDS
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.05)


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with alone(MANIFEST.parent / "prepare.lock", "read the dbt project", PARSE_SECONDS):
            yield
    except LockNotHad as waited:
        raise DbtFailed(str(waited)) from None


def _manifest_is_stale() -> bool:
    if not MANIFEST.exists() or not _is_whole(MANIFEST):
        return True
    ignored = (MANIFEST.parent, PROJECT / "logs")
    made = MANIFEST.stat().st_mtime
    return any(
        path.stat().st_mtime >= made
        for path in PROJECT.rglob("*.*")
        if path.suffix in (".sql", ".yml") and not any(path.is_relative_to(i) for i in ignored)
    )


def _is_whole(manifest: Path) -> bool:
    """Whether it can be read: a full disk, or an editor, may have left half of it."""
    try:
        return models_of(manifest) > 0
    except DbtFailed:
        return False


def models_of(manifest: Path) -> int:
    """How many models a manifest holds.

    Raises:
        DbtFailed: it cannot be read.
    """
    try:
        nodes = json.loads(manifest.read_bytes())["nodes"].values()
        return sum(node["resource_type"] == "model" for node in nodes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DbtFailed(f"{manifest} cannot be read ({error}): remove it") from None


def _parse() -> None:
    target = MANIFEST.parent / "parse"
    command = [EXECUTABLE, "--no-use-colors", "parse", *_PLACES, "--target-path", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DbtFailed(f"dbt parse failed:\n{done.stdout}{done.stderr}")
    (target / MANIFEST.name).replace(MANIFEST)


def _outdated() -> Iterator[tuple[Path, str]]:
    """The generated files that are missing or other than they should be, with what they should."""
    for path, text in generated(PROJECT).items():
        if not path.exists() or path.read_text() != text:
            yield path, text


def _left_over() -> list[Path]:
    """Models that an earlier version generated and this one does not; dbt would build them."""
    made = generated(PROJECT)
    return [path for path in (PROJECT / "models" / "generated").glob("*") if path not in made]
