"""`./run demo`: the whole way from payment files and webhooks to Fineract's ledger.

What belongs here: the steps, on a home of its own that is made anew each time. What does not: how
a step works; each is the same code that a real installation runs.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from repayment_platform.commands.platform import platform, say_where
from repayment_platform.settings import ROOT, SANDBOX, Settings, load_settings

if TYPE_CHECKING:
    from repayment_platform.warehouse.urls import DatabaseUrls


def demo(
    payments: Annotated[int, typer.Option(min=16, help="How many payments to invent.")] = 400,
    seed: Annotated[int, typer.Option(help="Another seed, other payments.")] = 1,
) -> None:
    """Land made-up payments of all sixteen sources, post them to the sandbox, prove the ledger.

    Uses embedded PostgreSQL and the sandbox whatever the settings say; never a real Fineract.
    Exits with 1 when the ledger is not exactly what must be posted.
    """
    started = time.monotonic()
    settings = _own_settings()
    say_where(settings)
    with platform(settings) as urls:
        from repayment_platform.sandbox.process import running_sandbox

        with running_sandbox(settings.home, settings.sandbox_port, settings.sandbox_latency_ms):
            wrong = _show(settings, urls, payments, seed)
    took = time.monotonic() - started
    if wrong:
        raise SystemExit("\n".join(["The ledger is NOT what must be posted:", *wrong]))
    typer.echo(f"\nThe ledger equals the truth, payment by payment. ({took:.0f} s)")
    home = settings.home.relative_to(ROOT) if settings.home.is_relative_to(ROOT) else settings.home
    typer.echo(f"Look around: REPAYMENT_HOME={home} ./run up")


def _own_settings() -> Settings:
    """Settings of a fresh home; the environment is changed for the processes started from here."""
    home = Path(os.environ.get("REPAYMENT_HOME") or ROOT / ".data") / "demo"
    os.environ |= {
        "REPAYMENT_ENV_FILE": os.devnull,
        "REPAYMENT_HOME": str(home),
        "FINERACT_BASE_URL": SANDBOX,
    }
    for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
        os.environ.pop(name, None)
    settings = load_settings()
    _remove_former(settings)
    return settings


def _remove_former(settings: Settings) -> None:
    from repayment_platform.warehouse.embedded import EmbeddedServer

    if settings.home.exists():
        if not EmbeddedServer(settings.home).stop_if_unused():
            raise SystemExit(f"demo: {settings.home} is in use by another command; end it first")
        shutil.rmtree(settings.home)


def _show(settings: Settings, urls: "DatabaseUrls", payments: int, seed: int) -> list[str]:
    """All steps of the demo; returns how the ledger differs from the truth."""
    from repayment_platform.sample_data.folder import LOANS, TRUTH
    from repayment_platform.sample_data.truth import compare, read

    sample = settings.home / "sample"
    _say("1. Inventing payments", f"{payments}, seed {seed}, into {sample}")
    _generate(sample, payments, seed)
    _sandbox(settings, "POST", "/sandbox/loans", json.loads((sample / LOANS).read_text()))

    _say("2. Webhooks", "signed, over HTTP, to the receiver")
    with _receiver(settings, sample) as url:
        _deliver(sample, url)
    _say("3. Files", "through the loader")
    _ingest(urls, sample)

    _say("4. The pipeline", "dbt, then posting: the job that the schedule starts")
    _pipeline(settings, urls, "First run")
    _say("5. The same again", "nothing may be posted twice")
    again = _pipeline(settings, urls, "Second run")
    wrong = compare(read(sample / TRUTH), _sandbox(settings, "GET", "/sandbox/ledger"))
    return [*wrong, *([f"the second run posted {again} payments"] if again else [])]


def _generate(sample: Path, payments: int, seed: int) -> None:
    from repayment_platform.sample_data.generate import generate

    sample.mkdir(parents=True)
    generate(sample, payments, seed, datetime.now(ZoneInfo("Asia/Kolkata")).date())


@contextmanager
def _receiver(settings: Settings, sample: Path) -> Iterator[str]:
    """The webhook receiver with the sample's secrets, as a process of its own."""
    from dotenv import dotenv_values

    from repayment_platform.commands.services import WEBHOOK_SECRETS, Service, running_services
    from repayment_platform.sample_data.folder import SECRETS

    secrets = {k: v for k, v in dotenv_values(sample / SECRETS).items() if v}
    command = (sys.executable, "-m", "repayment_platform.cli", "webhooks")
    service = Service("webhooks", command, settings.webhook_port, secrets=WEBHOOK_SECRETS)
    with running_services((service,), settings.home / "logs", os.environ | secrets):
        yield f"http://127.0.0.1:{settings.webhook_port}"


def _deliver(sample: Path, url: str) -> None:
    from repayment_platform.commands.tables import table
    from repayment_platform.sample_data.deliver import deliver

    counts = deliver(sample, url)
    rows = [(source, status, times) for (source, status), times in sorted(counts.items())]
    table("Deliveries", ("RAW table", "HTTP status", "deliveries"), rows, "none")


def _ingest(urls: "DatabaseUrls", sample: Path) -> None:
    from repayment_platform.commands.tables import table
    from repayment_platform.landing.files import ingest_file
    from repayment_platform.sources.registry import SOURCES, Kind

    rows = []
    for source in SOURCES.values():
        files = sorted((sample / source.table).glob("*")) if source.kind is Kind.FILE else []
        done = [ingest_file(urls.psycopg, f, source.table, received_by="demo") for f in files]
        counts = [(r.rows_read, r.rows_landed, r.rows_quarantined) for r in done]
        if done:
            rows.append((source.table, len(done), *map(sum, zip(*counts, strict=True))))
    header = ("RAW table", "files", "rows read", "landed", "quarantined")
    table("Files", header, rows, "none")


def _pipeline(settings: Settings, urls: "DatabaseUrls", title: str) -> int:
    """Run the pipeline and print what it did; returns how many payments it posted."""
    from repayment_platform.commands.progress import showing
    from repayment_platform.commands.tables import print_run
    from repayment_platform.posting.report import run_report

    started = time.monotonic()
    with showing(urls.psycopg, "dbt, then posting", settings.home / "logs" / "pipeline.log"):
        from repayment_platform.defs.in_process import run_pipeline

        ended = run_pipeline(urls)
    if not ended.succeeded:
        raise SystemExit("\n".join(["demo: the pipeline failed", *ended.errors]))
    report = run_report(urls.psycopg, ended.run_id)
    print_run(f"{title}, {time.monotonic() - started:.0f} s", report)
    return sum(line.posted for line in report)


def _sandbox(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    import httpx

    url = f"http://127.0.0.1:{settings.sandbox_port}{path}"
    return httpx.request(method, url, json=body, timeout=60).raise_for_status().json()


def _say(title: str, what: str) -> None:
    from repayment_platform.commands.tables import console

    console.print(f"\n[bold]{title}[/bold]  {what}")
