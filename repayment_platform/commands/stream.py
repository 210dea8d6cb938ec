"""`./run sample-data --stream`: payments arriving all the while at a platform that runs.

What belongs here: the pace, the line that shows progress, ending in order, the comparison with
the sandbox's ledger. What does not: what is sent and how (`sample_data.stream`).
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from repayment_platform.commands.services import HOST
from repayment_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from repayment_platform.sample_data.outlet import Outlet
    from repayment_platform.sample_data.stream import Stream

DIFFERENCES_SHOWN = 20


def stream_payments(
    directory: Path | None,
    seed: int,
    today: date,
    per_minute: float,
    minutes: float | None,
    files_every: float,
) -> None:
    """Send payments until the minutes are over or Ctrl-C; goes on where the folder's ended."""
    settings = _sandbox_only()
    root = directory or settings.home / "stream"
    root.mkdir(parents=True, exist_ok=True)
    stream = _open(root, seed, today)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with _outlet(settings, stop) as outlet:
        stream.send_to(outlet)
        _send(stream, stop, per_minute, minutes, files_every)
    stream.close()
    missing = len(stream.differences(_ledger(settings)))
    typer.echo(
        f"\n{stream.counts['due']:,} payments must be posted; the ledger differs in {missing:,} so "
        "far. After the next run of the pipeline: ./run sample-data --check"
    )


def check_stream(directory: Path | None) -> None:
    """Compare what must have been posted of a stream with the ledger; exit code 1 if it differs."""
    from repayment_platform.sample_data.stream import Stream, read_checkpoint

    settings = _sandbox_only()
    root = directory or settings.home / "stream"
    reached = read_checkpoint(root)
    if reached is None:
        sys.exit(f"there is no stream in {root}; ./run sample-data --stream starts one")
    stream = Stream(root, reached)
    stream.close()
    different = stream.differences(_ledger(settings))
    if different:
        shown = different[:DIFFERENCES_SHOWN]
        sys.exit("\n".join([f"The ledger differs from the truth {len(different)} times:", *shown]))
    typer.echo(f"The ledger equals the truth: {stream.counts['due']:,} payments, each posted once.")


def _sandbox_only() -> Settings:
    settings = load_settings()
    if not settings.uses_sandbox:
        sys.exit("made-up payments go to the sandbox only; FINERACT_BASE_URL names a Fineract")
    return settings


def _open(root: Path, seed: int, today: date) -> "Stream":
    from repayment_platform.sample_data.stream import Checkpoint, Stream, read_checkpoint

    reached: Checkpoint | None = read_checkpoint(root)
    if reached and reached.seed != seed:
        sys.exit(
            f"{root} holds the stream of seed {reached.seed}; give that, or another DIR and home"
        )
    return Stream(root, reached or Checkpoint(seed, today.isoformat()))


@contextmanager
def _outlet(settings: Settings, stop: threading.Event) -> "Iterator[Outlet]":
    import httpx

    from repayment_platform.landing.inbox import inbox_of
    from repayment_platform.sample_data.outlet import Outlet

    receiver = httpx.Client(base_url=f"http://{HOST}:{settings.webhook_port}", timeout=30)
    sandbox = httpx.Client(base_url=f"http://{HOST}:{settings.sandbox_port}", timeout=30)
    with receiver, sandbox:
        inbox, secrets = inbox_of(settings.home), gateway_secrets(settings)
        yield Outlet(receiver, sandbox, inbox, secrets, stop.wait)


def gateway_secrets(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The webhook secrets by the name of their setting; made up where none is set, because with
    the sandbox no money moves."""
    from repayment_platform.sample_data.signing import demo_secrets, setting_of
    from repayment_platform.sources.registry import SOURCES, Kind

    gateways = [source for source in SOURCES.values() if source.kind is not Kind.FILE]
    own = {
        setting_of(s.table): tuple(
            secret.get_secret_value() for secret in settings.webhook_secrets(s.kind, s.lender)
        )
        for s in gateways
    }
    return {**demo_secrets(), **{name: values for name, values in own.items() if values}}


def _send(
    stream: "Stream",
    stop: threading.Event,
    per_minute: float,
    minutes: float | None,
    files_every: float,
) -> None:
    """Tell stories at the pace asked for. Files go out after as many payments as the pace brings
    in `files_every` minutes, so that the same seed fills them with the same rows."""
    from repayment_platform.sample_data.outlet import Unsent

    started, before = time.monotonic(), stream.counts["payments"]
    a_file = max(1, round(per_minute * files_every))
    file_due = before + a_file
    trouble: Unsent | None = None
    while not stop.is_set() and (minutes is None or time.monotonic() < started + 60 * minutes):
        try:
            stream.tell()
        except Unsent as error:
            trouble = error
            break
        if stream.counts["payments"] >= file_due:
            stream.checkpoint()
            file_due += a_file
            _say(stream, "\n" if not sys.stdout.isatty() else "")
        elif sys.stdout.isatty():
            _say(stream, "")
        due = started + 60 * (stream.counts["payments"] - before) / per_minute
        stop.wait(max(0.0, due - time.monotonic()))
    stream.checkpoint()
    _say(stream, "\n")
    if trouble and not stop.is_set():
        sys.exit(str(trouble))


def _say(stream: "Stream", end: str) -> None:
    said = ", ".join(f"{count:,} {name}" for name, count in stream.counts.items())
    start = "\r" if sys.stdout.isatty() else time.strftime("%H:%M:%S ")
    sys.stdout.write(f"{start}{said}{end}")
    sys.stdout.flush()


def _ledger(settings: Settings) -> list[dict[str, Any]]:
    import httpx

    url = f"http://{HOST}:{settings.sandbox_port}/sandbox/ledger"
    rows: list[dict[str, Any]] = httpx.get(url, timeout=60).raise_for_status().json()
    return rows
