"""The short form of the fuzz campaign; `repayment_platform_tests.landing.fuzz` is the long one."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.landing.fuzz.damage import LONG, NASTY, SEEDS, damaged
from repayment_platform_tests.landing.fuzz.judge import land, read
from repayment_platform_tests.landing.tables import Connection
from repayment_platform_tests.sources.reading import HEADER, NACH, text_of
from repayment_platform_tests.sources.settlement_recon import event, recon_file

CELLS = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]))
)


@pytest.mark.parametrize("seed", range(0, 1500, 250))
def test_no_damage_lets_a_row_go_without_a_reason(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "file"
    for number in range(seed, seed + 250):
        source, content = damaged(random.Random(number))
        file.write_bytes(content)
        read(file, source)


def test_no_damage_stops_the_loader_or_loses_a_row(
    database_urls: DatabaseUrls, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    for number in range(100):
        source, content = damaged(random.Random(-number))
        file.write_bytes(content)
        land(connection, database_urls.psycopg, file, source)


def test_a_utr_that_no_index_takes_is_quarantined_and_its_file_lands(
    database_urls: DatabaseUrls, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    good, bad = event("PAYMENT", 1, "5", "4"), event("PAYMENT", 2, "5", "4", UTR=LONG)
    file.write_text(recon_file(good, bad), newline="")
    result = land(connection, database_urls.psycopg, file, "RAW_GB_PAYMENT_CASHFREE")
    assert (result.rows_landed, result.quarantined) == (1, {"ID_TOO_LONG": 1})


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.lists(CELLS, min_size=len(HEADER), max_size=len(HEADER)), max_size=4))
def test_any_text_in_any_cell_lands_or_is_quarantined(
    database_urls: DatabaseUrls,
    connection: Connection,
    tmp_path: Path,
    rows: list[list[str]],
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text_of(*rows).encode())
    read(file, NACH)
    land(connection, database_urls.psycopg, file, NACH)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=2000), seed=st.sampled_from(SEEDS))
def test_any_bytes_are_read_or_refused(
    tmp_path: Path, content: bytes, seed: tuple[str, bytes]
) -> None:
    file = tmp_path / "file"
    for each in (content, seed[1] + content, content + seed[1]):
        file.write_bytes(each)
        read(file, seed[0])
