"""A run costs what is new, loses nothing that commits late, and equals a rebuild."""

import random
import threading
from datetime import date, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from repayment_platform.warehouse import raw_cut
from repayment_platform.warehouse.dbt import dbt_session
from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform_tests.transformation.warehouse import START, Warehouse

NACH, PAYMENT, ARTHMATE = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV", "RAW_ARTHMATE_NACH_CSV"
OUTCOMES = ["success"] * 6 + ["pending", "failed", "return", "late_return", "refund"]


def land_anything(models: Warehouse, rng: random.Random, landed: list[tuple[str, int]]) -> None:
    """One observation out of so few facts that everything collides with everything."""
    table = rng.choice([NACH, PAYMENT])
    row: dict[str, Any] = {
        "loan": rng.choice(["DMI-APP-1", "dmi-app-2/EMI1", None]),
        "amount": rng.choice(["500.00", "600.00"]),
        "on": date(2025, 11, rng.randint(1, 6)),
        "outcome": rng.choice(OUTCOMES),
        "ref": rng.choice([None, f"{'nach' if table == NACH else 'dmi'}:{rng.randint(1, 12)}"]),
        "landed_at": START + timedelta(seconds=rng.randint(0, 600)),
    }
    same_table = [row_id for of, row_id in landed if of == table]
    if same_table and rng.random() < 0.25:
        row["replaces_id"] = rng.choice(same_table)
        row["outcome"] = rng.choice([*OUTCOMES, "withdrawn"])
    row_id = models.file_row(table, **row)
    if "replaces_id" not in row:
        landed.append((table, row_id))


def map_a_loan(models: Warehouse, rng: random.Random) -> None:
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES (%s, 'DMI-APP-3', 'asha', 'named') ON CONFLICT DO NOTHING",
        (f"nach:{rng.randint(1, 12)}",),
    )
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)'
        ' SELECT DISTINCT source_key, \'mapped\' FROM "CORE"."CORE_PAYMENT_KEY"'
        ' JOIN "CORE"."CORE_LOAN_MAPPING" USING (payment_ref)'
        " ON CONFLICT (source_key) DO UPDATE SET batch = 0"
    )


def assert_sound(models: Warehouse) -> None:
    """What must hold of the keys whatever arrived in whatever order."""
    keys = models.keys()
    observed = models.rows('SELECT raw_id FROM "CORE"."CORE_OBSERVATION"')
    assert {row["raw_id"] for row in observed} == set(keys)
    proper = [key for key in keys.values() if key["rule"] != "provisional"]
    paid = {(key["payment_ref"], key["loan_external_id"]) for key in proper if key["reports"]}
    assert not any(
        key["rule"] == "provisional"
        and key["outcome"] == "pending"
        and key["payment_ref"]
        and (key["payment_ref"], key["loan_external_id"]) in paid
        for key in keys.values()
    )
    core = {row["source_key"]: row for row in models.core()}
    assert {key["source_key"] for key in keys.values()} == set(core)
    held = {
        hold["source_key"]: hold["facts"]["candidates"]
        for hold in models.holds()
        if hold["reason_code"] in ("possible_duplicate", "cleared_again")
    }
    assert set(held) == {key["source_key"] for key in proper if key["rule"] == "held"}
    assert all({other["key"] for other in others} <= set(core) for others in held.values())
    assert all(held.values())
    assert not any(
        row["key_rule"] == "provisional" and row["is_success"] and row["loan_external_id"]
        for row in core.values()
    )


@pytest.mark.parametrize("seed", range(3))
def test_incremental_runs_equal_a_rebuild(models: Warehouse, seed: int) -> None:
    rng = random.Random(seed)
    landed: list[tuple[str, int]] = []
    for _ in range(4):
        for _ in range(rng.randint(5, 40)):
            land_anything(models, rng, landed)
        map_a_loan(models, rng)
        assert models.build() == models.rebuilt()
        assert_sound(models)
    before = models.core()
    assert models.build(full_refresh=True) == before


def replay_everything(models: Warehouse) -> dict[str, Any]:
    """Land the last of each chain of rows once more; returns CORE by key."""
    for table in (NACH, PAYMENT):
        name = sql.Identifier("RAW", table)
        models.connection.execute(
            sql.SQL(
                "INSERT INTO {0} (file_id, row_number, cells, loan_ref, payment_ref, payment_date,"
                " amount, outcome, replaces_id)"
                " SELECT file_id, row_number, cells, loan_ref, payment_ref, payment_date, amount,"
                " outcome, coalesce(replaces_id, id) FROM {0} r WHERE NOT EXISTS ("
                " SELECT FROM {0} l WHERE l.replaces_id = coalesce(r.replaces_id, r.id)"
                " AND l.id > r.id)"
            ).format(name)
        )
    return {row["source_key"]: row for row in models.fold()}


@pytest.mark.parametrize("seed", range(2))
def test_incremental_runs_equal_a_rebuild_when_rows_commit_late(
    models: Warehouse, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(raw_cut, "LOCK_TIMEOUT", "50ms")
    rng = random.Random(seed)
    landed: list[tuple[str, int]] = []
    for _ in range(3):
        with psycopg.connect(models.urls.psycopg) as late:
            slow = Warehouse(models.urls, late, landed=rng.randint(10_000, 99_000))
            for _ in range(20):
                land_anything(rng.choice([models, slow]), rng, landed)
            assert models.build() == models.rebuilt()
        assert models.build() == models.rebuilt()
        assert_sound(models)
    before = models.core()
    assert models.build(full_refresh=True) == before


@pytest.mark.parametrize("seed", range(8))
def test_replaying_everything_adds_no_payment(models: Warehouse, seed: int) -> None:
    """A return that found no payment looks again, and may find one that was corrected since."""
    rng = random.Random(seed)
    landed: list[tuple[str, int]] = []
    for _ in range(60):
        land_anything(models, rng, landed)
    proper = {row["source_key"] for row in models.fold() if row["key_rule"] != "provisional"}
    before = replay_everything(models)
    assert {key for key, row in before.items() if row["key_rule"] != "provisional"} == proper
    after = replay_everything(models)
    assert after.keys() == before.keys()
    differing = {
        name
        for key, row in after.items()
        for name, value in row.items()
        if value != before[key][name]
    }
    assert differing == {"batch", "last_raw_id", "last_landed_at"}


def test_a_row_that_commits_below_a_greater_id_is_not_skipped(
    models: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_cut, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(models.urls.psycopg) as late:
        slow = Warehouse(models.urls, late, landed=900).file_row(NACH, ref="nach:1")
        quick = models.file_row(NACH, "DMI-APP-2", ref="nach:2")
        assert slow < quick
        assert models.assign_keys() == 0  # the table is being written to: the old cut stays
        other = models.file_row(ARTHMATE, "ARTH-LN-1")
        assert models.assign_keys() == 1  # which holds up no other table
        late.commit()
    assert models.assign_keys() == 2
    assert set(models.keys()) == {slow, quick, other}


def test_a_cut_waits_for_writers_that_finish_soon(models: Warehouse) -> None:
    with psycopg.connect(models.urls.psycopg) as late:
        slow = Warehouse(models.urls, late, landed=900).file_row(NACH, ref="nach:1")
        models.file_row(NACH, "DMI-APP-2", ref="nach:2")
        soon = threading.Timer(0.3, late.commit)
        soon.start()
        assert models.assign_keys() == 2
        soon.join()
    assert slow in set(models.keys())


def test_a_cut_never_goes_back(models: Warehouse) -> None:
    row = models.file_row(NACH)
    advance_cuts(models.urls)
    models.connection.execute('DELETE FROM "RAW"."RAW_DMI_NACH_CSV"')
    advance_cuts(models.urls)
    [cut] = models.rows('SELECT cut_id FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = %s', (NACH,))
    assert cut["cut_id"] == row


def test_a_second_dbt_session_waits_for_the_first_and_says_so(
    models: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    entered = threading.Event()

    def second() -> None:
        with dbt_session(models.urls):
            entered.set()

    with caplog.at_level("INFO"), dbt_session(models.urls):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.5)
    waiting.join(10)
    assert entered.is_set()
    assert "running dbt: waiting, the lock is held by session" in caplog.text


def fill(models: Warehouse, rows: int) -> None:
    """Payments of a file and of a gateway that were keyed long ago."""
    models.file_row(ARTHMATE, "ARTH-LN-1")
    [first] = models.build()
    models.connection.execute(
        'INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, loan_ref, payment_ref,'
        " payment_date, amount, outcome) SELECT 2, n, '{}', 'DMI-APP-' || n, 'nach:' || n,"
        " '2025-11-05', 1000, 'success' FROM generate_series(1, %s) n",
        (rows,),
    )
    models.connection.execute(
        'INSERT INTO "RAW"."RAW_DMI_PAYMENT_CSV" (file_id, row_number, cells, loan_ref,'
        " payment_ref, payment_date, amount, outcome) SELECT 3, n, '{}', 'DMI-APP-' || n,"
        " 'dmi:old-' || n, '2025-11-05', 1000, 'success' FROM generate_series(1, %s) n",
        (rows // 4,),
    )
    models.connection.execute(
        'INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API" (event_id, body, payload, headers, signed_by)'
        " SELECT n, '', jsonb_build_object('payload', jsonb_build_object('payment',"
        " jsonb_build_object('entity', jsonb_build_object('id', 'pay_' || n)))), '{}', 1"
        " FROM generate_series(1, %s) n",
        (rows // 4,),
    )
    # The keys of every tenth row will do: it is RAW that must not be read.
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, source_key, rule, payment_ref,'
        " source_lender, loan_external_id, amount, payment_date, reports, batch)"
        " SELECT raw_id, raw_table, md5(raw_id::text), 'new', payment_ref, source_lender,"
        " coalesce(loan_external_id, 'UGRO-LN-1'), amount, payment_date, true, %s"
        ' FROM "CORE"."CORE_OBSERVATION" WHERE raw_id <> %s AND raw_id %% 10 = 0',
        (first["batch"], first["first_raw_id"]),
    )
    advance_cuts(models.urls)
    models.connection.execute('UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = cut_id')


def rows_read(models: Warehouse, counted: LiteralString) -> int:
    """How many rows of RAW were read since the database was made, by a column of statistics."""
    models.connection.execute("SELECT pg_stat_force_next_flush()")
    [total] = models.rows(
        f"SELECT sum({counted})::bigint AS rows FROM pg_stat_user_tables"
        " WHERE schemaname = 'RAW'".encode()
    )
    return int(total["rows"])


def seq_scans(plan: Any) -> list[str]:
    """Tables that a plan reads from end to end."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    return found + [name for child in plan.get("Plans", []) for name in seq_scans(child)]


def test_a_run_looks_up_what_is_new_and_scans_no_raw_table(models: Warehouse) -> None:
    fill(models, 200_000)
    # Otherwise the plan would hang on whether PostgreSQL has come round to it by itself.
    models.connection.execute("ANALYZE")
    for n in range(50):
        models.file_row(NACH, f"DMI-APP-{n}", ref=f"nach:{n}", file_id=9)
        models.file_row(PAYMENT, f"DMI-APP-{n + 100}", ref=f"dmi:{n}", on="2025-11-06", file_id=10)
    before = rows_read(models, "seq_tup_read")
    models.assign_keys()
    query = models.incremental_query()
    plan = models.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode())[0]["QUERY PLAN"][0]
    scanned = set(seq_scans(plan["Plan"]))
    assert not scanned & {NACH, PAYMENT, "RAW_UGRO_RAZORPAY_API"}
    assert plan["Plan"]["Actual Rows"] == 100
    models.build()
    # A table that has but a row is rightly read as a whole.
    assert rows_read(models, "seq_tup_read") - before < 10


def test_a_run_with_nothing_new_reads_no_payment(models: Warehouse) -> None:
    fill(models, 20_000)
    models.connection.execute("ANALYZE")
    models.assign_keys()
    before = rows_read(models, "seq_tup_read + coalesce(idx_tup_fetch, 0)")
    for _ in range(10):
        assert models.assign_keys() == 0
    # The greatest id of each table that has rows, for the cut.
    tables = 4
    assert rows_read(models, "seq_tup_read + coalesce(idx_tup_fetch, 0)") - before <= 10 * tables
