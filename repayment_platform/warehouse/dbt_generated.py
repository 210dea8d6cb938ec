"""The files of the dbt project that follow from the registry.

What belongs here: what they say. What does not: writing them (`dbt`), the models and macros that
people write (`dbt_project`).
"""

import json
from pathlib import Path
from pprint import pformat
from typing import Any

from repayment_platform.sources.registry import LENDERS, SOURCES, Kind, PostingMode, Source
from repayment_platform.warehouse import WarehouseUnavailable

APPLICATION_TABLES = {
    "CORE_PAYMENT_KEY": "Which payment each observation belongs to. Append-only.",
    "CORE_REFOLD": "Keys whose row is to be computed again though nothing new was observed.",
    "CORE_LOAN_MAPPING": "An operator's word on which loan a payment without one belongs to.",
    "CORE_RAW_CUT": "Up to which id each RAW table is complete, and keyed.",
    "CORE_HOLD": "Payments that wait for a person's decision.",
    "CORE_OPEN_WORK": "Every payment that is not settled, with its state.",
    "CORE_TRANSACTION_DATA_PROCESSED": "The outcome of each payment.",
    "CORE_RECON_REQUEST_ITEM": "The payments of reconciliation requests.",
}


class DbtFailed(WarehouseUnavailable):
    """dbt could not read the project; the message holds what it said."""


def generated(project: Path) -> dict[Path, str]:
    """The files, by their paths, with what they say.

    Raises:
        DbtFailed: a source has no BASE model.
    """
    models = project / "models" / "generated"
    return {
        models / "sources.yml": json.dumps(_sources(), indent=2),  # JSON is YAML
        models / "core_observation.sql": _observation(project),
        models / "core_source.sql": _source(),
        project / "macros" / "generated" / "registry.sql": _registry(),
    }


def _sources() -> dict[str, Any]:
    quoted = {"schema": True, "identifier": True}
    raw = [
        {
            "name": source.table,
            "description": f"{source.reports} of {LENDERS[source.lender].name}, as sent.",
        }
        for source in SOURCES.values()
    ]
    core = [{"name": name, "description": text} for name, text in APPLICATION_TABLES.items()]
    return {
        "sources": [
            {"name": "RAW", "schema": "RAW", "quoting": quoted, "tables": raw},
            {"name": "CORE", "schema": "CORE", "quoting": quoted, "tables": core},
        ]
    }


def _registry() -> str:
    """A macro that tells the others of each RAW table what its source is."""
    tables = {table: _told_to_macros(source) for table, source in SOURCES.items()}
    return (
        f"{{% macro registry() %}}{{{{ return({pformat(tables, width=100)}) }}}}{{% endmacro %}}\n"
    )


def _told_to_macros(source: Source) -> dict[str, Any]:
    lender = LENDERS[source.lender]
    return {
        "lender": source.lender,
        "is_recon": lender.posting is PostingMode.RECON,
        "is_file": source.kind is Kind.FILE,
        "reports": source.reports,
        "unit": source.unit,
        "ref_namespace": source.ref_namespace,
        "references": source.references and source.references.value,
        "loan_id_in": list(source.loan_id_in),
        "loan_id_weakly_in": list(source.loan_id_weakly_in),
        "loan_id_pattern": lender.loan_id_pattern,
        "settlement_line": _settlement_line(source),
        "refunded_in": _headers(source, "refunded"),
        "settled_on": _headers(source, "payment_date"),
        "null_texts": list(source.null_texts),
    }


def _settlement_line(source: Source) -> dict[str, list[str]]:
    """Under which headers a line of a payout says what; empty where no payouts are listed."""
    layout = source.settlement_layout
    return {name: list(column.aliases) for name, column in layout.columns.items()} if layout else {}


def _headers(source: Source, field: str) -> list[str]:
    """Headers under which a file may have a field; empty where it has none."""
    columns = (layout.columns.get(field) for layout in source.layouts)
    return list(dict.fromkeys(alias for column in columns if column for alias in column.aliases))


def _observation(project: Path) -> str:
    """A union that PostgreSQL can look into: every branch keeps its RAW table's primary key."""
    models = [table.lower().replace("raw_", "base_", 1) for table in SOURCES]
    for model in models:
        if not (project / "models" / "base" / f"{model}.sql").exists():
            raise DbtFailed(f"dbt_project/models/base/{model}.sql is missing")
    selects = (f"SELECT * FROM {{{{ ref('{model}') }}}}" for model in models)  # noqa: S608 - names of ours
    return "\nUNION ALL\n".join(selects) + "\n"


def _source() -> str:
    """What the registry says of each source that matters for telling payments apart."""
    rows = ",\n".join(
        f"    ({_text(source.table)}, {_text(source.reports)}, {_text(source.match_group)},"
        f" {source.match_days}, ARRAY[{presenting}]::text[])"
        for source in SOURCES.values()
        for presenting in [", ".join(_text(each.name) for each in source.layouts if each.presents)]
    )
    return (
        "SELECT raw_table::text, channel::text, match_group::text, match_days::integer,\n"
        "    presenting_layouts\n"
        f"FROM (VALUES\n{rows}\n)\n"
        "declared (raw_table, channel, match_group, match_days, presenting_layouts)\n"
    )


def _text(value: str | None) -> str:
    return "null" if value is None else f"'{value}'"
