"""When a build of the models may be left out."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.warehouse.dbt import PROJECT, dbt_session
from repayment_platform.warehouse.dbt_build import forget_build, nothing_new, remember_build
from repayment_platform_tests.transformation.warehouse import Warehouse

DMI = "RAW_DMI_PAYMENT_CSV"


@pytest.fixture
def built(models: Warehouse) -> Iterator[Warehouse]:
    """A warehouse in which a row has landed and everything was built since."""
    models.file_row(DMI)
    models.assign_keys()
    remember_build(models.urls, PROJECT)
    yield models
    forget_build(models.urls)


def is_idle(warehouse: Warehouse, project: Path = PROJECT) -> bool:
    with dbt_session(warehouse.urls):
        return nothing_new(warehouse.urls, project)


def land(warehouse: Warehouse) -> None:
    warehouse.file_row(DMI)


def ask_again(warehouse: Warehouse) -> None:
    [key] = {row["source_key"] for row in warehouse.keys().values()}
    statement = 'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)'
    warehouse.connection.execute(statement, (key, "loan mapped"))


def key_without_building(warehouse: Warehouse) -> None:
    land(warehouse)
    warehouse.assign_keys()


def key_again(warehouse: Warehouse) -> None:
    warehouse.connection.execute('UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = 0')


def start_dbt_by_hand(warehouse: Warehouse) -> None:
    forget_build(warehouse.urls)


def test_with_nothing_new_since_a_complete_build_there_is_nothing_to_build(
    built: Warehouse,
) -> None:
    assert is_idle(built)
    assert is_idle(built)


@pytest.mark.parametrize(
    "news", [land, ask_again, key_without_building, key_again, start_dbt_by_hand]
)
def test_whatever_a_build_would_read_asks_for_one(
    built: Warehouse, news: Callable[[Warehouse], None]
) -> None:
    news(built)

    assert not is_idle(built)


def test_another_project_asks_for_a_build_and_what_dbt_writes_does_not(
    built: Warehouse, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "target").mkdir()
    (project / "target" / "compiled.sql").write_text("SELECT 1")
    assert is_idle(built, project)

    model = next((project / "models" / "core").glob("*.sql"))
    model.write_text(model.read_text() + "\n")

    assert not is_idle(built, project)


def test_before_the_first_build_there_is_all_to_build(models: Warehouse) -> None:
    assert not is_idle(models)
