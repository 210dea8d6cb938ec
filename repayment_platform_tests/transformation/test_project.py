"""The dbt project: its generated files, its manifest, its own tests, and dbt by hand."""

import errno
import json
import shutil
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from repayment_platform.definitions import defs
from repayment_platform.settings import SANDBOX
from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.dbt import MANIFEST, PROJECT, prepare, run_dbt
from repayment_platform.warehouse.dbt_generated import DbtFailed
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.warehouse import Warehouse

ONE_MODEL = '{"nodes": {"model.a": {"resource_type": "model"}}}'
MADE = shutil.ignore_patterns("target", "logs", "generated")


def test_every_source_reaches_core_in_the_lineage() -> None:
    manifest = json.loads(prepare().read_text())
    union = manifest["nodes"]["model.repayment_platform.core_observation"]
    core = manifest["nodes"]["model.repayment_platform.core_transaction_data"]
    assert union["unique_id"] in core["depends_on"]["nodes"]
    read = {
        source
        for model in union["depends_on"]["nodes"]
        for source in manifest["nodes"][model]["depends_on"]["nodes"]
    }
    assert read == {f"source.repayment_platform.RAW.{table}" for table in SOURCES}


def test_preparing_again_costs_little_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    made = MANIFEST.stat().st_mtime_ns

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "as in an image")

    monkeypatch.setattr(dbt, "alone", read_only)
    start = time.perf_counter()
    prepare()
    assert time.perf_counter() - start < 1
    assert MANIFEST.stat().st_mtime_ns == made


def test_a_model_that_an_earlier_version_generated_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = shutil.copytree(PROJECT, tmp_path / "dbt", ignore=MADE)
    monkeypatch.setattr(dbt, "PROJECT", project)
    monkeypatch.setattr(dbt, "MANIFEST", project / "target" / "manifest.json")
    monkeypatch.setattr(dbt, "_parse", lambda: dbt.MANIFEST.write_text(ONE_MODEL))
    prepare()
    former = project / "models" / "generated" / "core_former.sql"
    former.write_text("SELECT 1")

    prepare()

    assert not former.exists()


def test_two_preparations_at_once_parse_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parsed = []

    def parse() -> None:
        time.sleep(0.2)
        parsed.append(1)
        dbt.MANIFEST.write_text(ONE_MODEL)

    monkeypatch.setattr(dbt, "PROJECT", shutil.copytree(PROJECT, tmp_path / "dbt", ignore=MADE))
    monkeypatch.setattr(dbt, "MANIFEST", tmp_path / "dbt" / "target" / "manifest.json")
    monkeypatch.setattr(dbt, "_parse", parse)
    for changed in ("dbt_project.yml", "models/base/base_ikf_nach_csv.sql"):
        (tmp_path / "dbt" / changed).touch()
        both = [threading.Thread(target=prepare) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert parsed == [1, 1]


def test_a_damaged_manifest_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = prepare().read_bytes()
    monkeypatch.setattr(dbt, "MANIFEST", tmp_path / "target" / "manifest.json")
    dbt.MANIFEST.parent.mkdir()
    dbt.MANIFEST.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DbtFailed, match="cannot be read"):
        dbt.models_of(dbt.MANIFEST)
    assert dbt.models_of(prepare()) > len(SOURCES)


def test_a_source_without_a_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "RAW_NEW_NACH_CSV", SOURCES["RAW_IKF_NACH_CSV"])
    with pytest.raises(DbtFailed, match="base_new_nach_csv"):
        prepare()


def test_the_projects_own_tests_pass_and_find_a_planted_fault(models: Warehouse) -> None:
    report = "RAW_UGRO_PAYMENT_RAZORPAY"
    models.file_row(report, "UGRO-LN-1", ref="razorpay:pay_1")
    models.file_row(report, loan=None, ref="razorpay:pay_2")
    models.build()
    assert run_dbt_here(models.urls, "test").success
    models.connection.execute(
        "UPDATE \"CORE\".\"CORE_PAYMENT_KEY\" SET payment_ref = 'razorpay:pay_1', rule = 'new',"
        " source_key = 'another', occurrence = 0 WHERE payment_ref = 'razorpay:pay_2'"
    )
    models.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET loan_external_id = \'DMI-APP-9\''
        " WHERE key_rule = 'provisional'"
    )
    models.connection.execute(f'UPDATE "RAW"."{report}" SET id = id - 1')
    tested = run_dbt_here(models.urls, "test", "--exclude-resource-types", "unit_test")
    failed = {result.node.name for result in tested.result.results if result.status == "fail"}
    assert failed == {
        "a_reference_is_one_payment",
        "a_provisional_key_is_never_postable",
        "every_observation_has_a_key",
        "every_key_is_in_core",
    }


def test_dbt_by_hand_runs_under_the_lock_and_passes_on_its_exit_code(
    models: Warehouse, tmp_path: Path
) -> None:
    models.file_row("RAW_DMI_NACH_CSV", ref="nach:1")
    assert run_dbt(models.urls, ["build", "--quiet", "-s", "core_transaction_data"], tmp_path) == 0
    assert len(models.core()) == 1
    assert run_dbt(models.urls, ["run", "--quiet", "-s", "no_such_model", "--bad"], tmp_path) == 2


def test_the_nightly_job_fails_when_all_of_core_does_not_add_up(
    models: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", models.urls.psycopg)
    monkeypatch.setenv("FINERACT_BASE_URL", SANDBOX)
    monkeypatch.setenv("REPAYMENT_HOME", str(tmp_path))
    models.file_row("RAW_DMI_NACH_CSV", ref="nach:1")
    models.build()
    job = defs().resolve_job_def("nightly_tests")

    with dg.DagsterInstance.ephemeral() as instance:
        sound = job.execute_in_process(instance=instance, raise_on_error=False)
        models.connection.execute('TRUNCATE "CORE"."CORE_TRANSACTION_DATA"')
        unsound = job.execute_in_process(instance=instance, raise_on_error=False)

    assert (sound.success, unsound.success) == (True, False)
