"""Workbooks (XLSX, old XLS) as rows of text.

What belongs here: turning typed cells back into the text a person sees in them. What does
not: finding the header among them. A workbook is read whole; Excel ends it at a million rows.
"""

from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from repayment_platform.sources.refusals import FileReason, FileRefused


def read_workbook(path: Path) -> dict[str, list[list[str]]]:
    """Every sheet's rows, by the sheet's name; all rows of a sheet have one length.

    Raises:
        FileRefused: NOT_A_TABLE when it is no workbook, or a damaged or encrypted one.
    """
    import pandas  # half a second, which whoever reads no workbook need not wait

    try:
        frames = pandas.read_excel(
            path, sheet_name=None, header=None, dtype=object, na_filter=False, engine="calamine"
        )
    except OSError:
        raise
    except Exception as error:  # calamine raises a class of its own for each kind of damage
        raise FileRefused(
            FileReason.NOT_A_TABLE, f"the workbook cannot be opened: {error}"
        ) from error
    return {
        str(name): [[_text(value) for value in row] for row in frame.itertuples(index=False)]
        for name, frame in frames.items()
    }


def _text(value: Any) -> str:
    """A cell's text: dates in ISO form, and 15 digits of a number, which is all Excel keeps.

    A longer number comes out as `5.30112345678901E+17`, and is known for damaged by that.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{value:.15G}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
