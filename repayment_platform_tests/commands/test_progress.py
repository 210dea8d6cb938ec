"""The line that a long run shows."""

import logging
from pathlib import Path

import pytest

from repayment_platform.commands.progress import POSTING_LOG, showing
from repayment_platform.defs import posting
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.waiting import wait_until


def test_the_line_says_what_posting_waits_for(
    migrated_urls: DatabaseUrls,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown: list[str] = []

    def is_said() -> bool:
        shown.append(capsys.readouterr().out)
        return "Fineract does not answer" in "".join(shown)

    with showing(migrated_urls.psycopg, "posting", tmp_path / "log"):
        logging.getLogger(posting.__name__).warning("Fineract does not answer since 14:02:10")
        wait_until(is_said)

    assert posting.__name__ == POSTING_LOG
    left = logging.getLogger(POSTING_LOG).handlers
    assert all(isinstance(handler, logging.NullHandler) for handler in left)
