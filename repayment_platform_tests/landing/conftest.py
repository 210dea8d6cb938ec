"""Landing files in a database of the test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.sources.reading import NACH

Ingest = Callable[..., FileResult]


@pytest.fixture
def ingest(database_urls: DatabaseUrls, tmp_path: Path) -> Ingest:
    """Land a file: its path, or the text of one."""

    def land(file: Path | str | bytes, source: str = NACH, **options: Any) -> FileResult:
        if not isinstance(file, Path):
            content = file.encode() if isinstance(file, str) else file
            file = tmp_path / "made up.csv"
            file.write_bytes(content)
        return ingest_file(database_urls.psycopg, file, source, received_by="test", **options)

    return land
