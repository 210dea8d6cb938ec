"""Files that would end a process, or be taken for other than they are: a failed file in words."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from repayment_platform.landing import inbox, reading
from repayment_platform.landing.inbox import land_inbox
from repayment_platform.landing.reading import Limits
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.landing.conftest import Ingest
from repayment_platform_tests.landing.tables import Connection, log, raw
from repayment_platform_tests.sources.reading import HEADER, NACH, row, text_of
from repayment_platform_tests.sources.workbooks import write_workbook

HOSTILE = Path(__file__).parents[1] / "cases" / "hostile"
SMALL = Limits(memory_mb=256, seconds=60)
FOREIGN = re.compile(
    r"Traceback|Error\(|codec|xlrd|pandas|OLE2|expat|zipfile|errno|0x|\bline \d+, column",
    re.IGNORECASE,
)


def workbook(folder: Path, *rows: list[str]) -> Path:
    path = folder / "book.xlsx"
    write_workbook(path, {"Data": [[*HEADER], *([*each] for each in rows)]})
    return path


def changed(path: Path, change: Callable[[bytes], bytes], part: str = "sheet1.xml") -> Path:
    """The workbook with another sheet in it."""
    target = path.with_name(f"changed {path.name}")
    with ZipFile(path) as old, ZipFile(target, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith(part) else content)
    return target


@pytest.mark.parametrize("name", ["far_cell.xlsx", "stray_row.xlsx"])
def test_a_far_cell_is_a_failed_file_wherever_it_comes_and_all_else_goes_on(
    ingest: Ingest, database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, connection: Connection,
) -> None:  # fmt: skip
    assert ingest(HOSTILE / name, preview=True, limits=SMALL).reason_code == "NOT_A_TABLE"
    assert ingest(HOSTILE / name, limits=SMALL).reason_code == "NOT_A_TABLE"
    monkeypatch.setattr(inbox, "SETTLED_SECONDS", 0)
    folder = inbox.inbox_of(tmp_path)
    (folder / NACH / name).write_bytes((HOSTILE / name).read_bytes())
    (folder / "RAW_IKF_NACH_CSV" / "good.csv").write_text(text_of(row()))
    taken = land_inbox(database_urls.psycopg, tmp_path, received_by="test", limits=SMALL)
    assert [each.status for each in taken[NACH].results] == ["failed"]
    assert [each.status for each in taken["RAW_IKF_NACH_CSV"].results] == ["landed"]
    assert (folder / NACH / ".failed" / name).exists()
    assert [each["status"] for each in log(connection)] == ["failed", "failed", "landed"]


def test_a_far_cell_below_a_good_table_costs_its_own_row(ingest: Ingest, tmp_path: Path) -> None:
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    path = changed(workbook(tmp_path, row()), lambda old: old.replace(b"</sheetData>", far))
    result = ingest(path, limits=SMALL)
    assert (result.rows_landed, result.quarantined) == (1, {"EXTRA_FIELDS": 1})


def test_a_reader_that_takes_too_much_memory_is_a_failed_file_in_words(
    ingest: Ingest, tmp_path: Path
) -> None:
    """Texts that cells share are the one thing of a sheet that must be kept."""
    texts = b"".join(b"<si><t>%050000d</t></si>" % n for n in range(6000))
    shared = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s</sst>'
    path = workbook(tmp_path, row())
    with ZipFile(path, "a", ZIP_DEFLATED) as book:
        book.writestr("xl/sharedStrings.xml", shared % texts)
    result = ingest(path, limits=SMALL)
    assert result.reason_code == "TOO_LARGE"
    assert "256 MB" in str(result.error)
    assert ingest(text_of(row())).status == "landed"


def test_a_reader_that_takes_too_long_is_a_failed_file_in_words(
    ingest: Ingest, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text_of(*[row()] * 200_000))
    result = ingest(path, limits=Limits(seconds=1))
    assert result.reason_code == "TOO_SLOW"
    assert ingest(text_of(row())).status == "landed"


@pytest.mark.parametrize("ending", ["os._exit(3)", "os.abort()", "os.kill(os.getpid(), 9)",
                                    "raise RuntimeError('foreign words')", "print('no frame')",
                                    "import time; time.sleep(60)"])  # fmt: skip
def test_however_the_reader_ends_the_file_fails_in_words_and_nothing_else_does(
    ingest: Ingest, connection: Connection, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    real = reading.subprocess.Popen

    def other(command: tuple[str, ...], **options: object) -> object:
        return real((command[0], "-c", f"import os; {ending}"), **options)  # type: ignore[call-overload]

    monkeypatch.setattr(reading.subprocess, "Popen", other)
    result = ingest(text_of(row()), limits=Limits(seconds=1))
    assert result.reason_code in ("TOO_LARGE", "TOO_SLOW", "UNREADABLE_FILE")
    assert not FOREIGN.search(str(result.error))
    assert "foreign words" not in str(result.error)
    assert not raw(connection)
    monkeypatch.undo()
    assert ingest(text_of(row())).status == "landed"


def test_the_reader_knows_no_secret(monkeypatch: pytest.MonkeyPatch, ingest: Ingest) -> None:
    monkeypatch.setenv("FINERACT_PASSWORD", "secret")
    given: list[dict[str, str]] = []
    real = reading.subprocess.Popen

    def other(*command: object, **options: object) -> object:
        given.append(options["env"])  # type: ignore[arg-type]
        return real(*command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(reading.subprocess, "Popen", other)
    ingest(text_of(row()))
    assert [set(env) for env in given] == [{"PATH", "MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS"}]


def bomb(folder: Path) -> Path:
    """A workbook one of whose parts says that it unpacks to 5 GB."""
    path = workbook(folder, row())
    with ZipFile(path, "a") as book:
        book.writestr("xl/media/picture.png", b"")
        book.filelist[-1].file_size = 5 << 30
    return path


def test_a_zip_bomb_is_not_unpacked(ingest: Ingest, tmp_path: Path) -> None:
    result = ingest(bomb(tmp_path), limits=SMALL)
    assert result.reason_code == "TOO_LARGE"


def packed(**parts: bytes) -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


BILLION_LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed(**{"nach.csv": b"a,b"}), "a ZIP archive; unpack it"),
        (packed(**{"word/document.xml": b"<x/>"}), "a Word document"),
        (packed(**{"xl/workbook.xml": BILLION_LAUGHS}), "document type"),
        (packed(**{"xl/workbook.xml": b"<x"}), "damaged"),
        (packed(**{"xl/workbook.bin": b"\0" * 100}), "a binary workbook"),
        (packed(**{"content.xml": b"<x/>"}), "an OpenDocument file"),
        (packed(**{"nach.csv": b"a,b"})[:-30], "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000, "damaged"),
        (b"\x1f\x8b\x08\x00" + b"x" * 100, "gzip"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"%PDF-1.7", "PDF"),
        (text_of(row()).encode("utf-16")[2:] + b"\0", ""),
        (text_of(row()).encode("utf-32"), ""),
        (text_of(row()).encode("cp037"), "no line looks like a header"),
        (b"\0" * 5000, ""),
    ],
)  # fmt: skip
def test_one_clear_sentence_says_what_a_file_is(ingest: Ingest, content: bytes, words: str) -> None:
    result = ingest(content, limits=SMALL)
    assert words in str(result.error)
    assert not FOREIGN.search(str(result.error))
    assert bool(result.error) != bool(not words and result.rows_landed)


def test_a_workbook_with_macros_is_read_and_they_are_not(ingest: Ingest, tmp_path: Path) -> None:
    path = workbook(tmp_path, row()).rename(tmp_path / "book.xlsm")
    with ZipFile(path, "a") as book:
        book.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 not even a project")
    assert ingest(path).rows_landed == 1


def test_what_is_no_file_is_not_read(ingest: Ingest, tmp_path: Path) -> None:
    result = ingest(Path("/dev/zero"))
    assert str(result.error) == "UNREADABLE_FILE: it is not a file"
