"""What other tests play instead of running dbt is what dbt does."""

import random

import psycopg

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.test_incremental import land_anything
from repayment_platform_tests.transformation.test_recon_record import GATEWAY, captured
from repayment_platform_tests.transformation.warehouse import Warehouse


def test_what_is_played_does_what_dbt_does(
    models: Warehouse, server: DatabaseUrls, models_template: str
) -> None:
    """The other tests play dbt's statements; here the same lands twice, and dbt itself runs too."""
    with (
        copied_database(server, models_template) as urls,
        psycopg.connect(urls.psycopg, autocommit=True) as connection,
    ):
        by_dbt = Warehouse(urls, connection)
        for warehouse in (models, by_dbt):
            rng, landed = random.Random(1), list[tuple[str, int]]()
            for n in range(3):
                for _ in range(20):
                    land_anything(warehouse, rng, landed)
                warehouse.event(GATEWAY, captured(f"pay_{n}", f"UGRO-LN-{n}"))
                full_refresh = n == 2
                if warehouse is models:
                    models.build_all(full_refresh=full_refresh)
                else:
                    refresh = ["--full-refresh"] * full_refresh
                    assert run_dbt_here(urls, "run", *refresh).success
        for table in ("CORE_TRANSACTION_DATA", "CORE_RECON_RECORD", "CORE_SETTLEMENT_LINES"):
            query = f'SELECT * FROM "CORE"."{table}" ORDER BY 1'
            made = models.rows(query)
            assert made == by_dbt.rows(query)
            assert made or table == "CORE_SETTLEMENT_LINES"
