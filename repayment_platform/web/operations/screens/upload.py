"""Uploading a payment file: seen first, landed when confirmed.

What belongs here: the forms, and keeping the file between them. What does not: landing
(`landing.files`).

Between preview and confirmation the file lies in the home, in a folder of the user's own, under
the name of its content: the confirmation names the content, so what lands is what was shown.
"""

import hashlib
import re
import shutil
import time
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.reading import Limits
from repayment_platform.landing.results import FileResult, FileStatus
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse.audit import record
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import read_number
from repayment_platform.web.operations.users import Role

KEEP_SECONDS = 3600
LONGEST_NAME = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAFE_NAME = re.compile(r"[^\w .()\-]")
FILE_SOURCES = [source for source in SOURCES.values() if source.kind is Kind.FILE]


class Upload(Screen):
    """Not in the menu: the processing log leads here."""

    menu_label = "Upload a file"
    path = "/log/upload"
    add_to_menu = False

    @page("", Role.OPERATOR)
    def index(self, visit: Visit) -> Response:
        """The form."""
        return self._form(visit)

    @page("", Role.OPERATOR, "POST")
    def preview(self, visit: Visit) -> Response:
        """What would land; nothing does."""
        source, sent = visit.text("source"), visit.form.get("file")
        if source not in {known.table for known in FILE_SOURCES}:
            return self._form(visit, "Choose what kind of file it is.")
        if not isinstance(sent, UploadFile) or not sent.filename:
            return self._form(visit, "Choose a file.")
        path = _keep(visit, sent)
        result = ingest_file(
            visit.conninfo,
            path,
            source,
            received_by=visit.user.username,
            supersedes=_corrected(visit),
            preview=True,
            limits=Limits.of(visit.settings),
        )
        return self.show(
            visit,
            "upload_preview.html",
            title="Upload: preview",
            result=result,
            source=SOURCES[source],
            sha256=path.parent.name,
            corrects=visit.text("corrects"),
        )

    @page("/confirm", Role.OPERATOR, "POST")
    def confirm(self, visit: Visit) -> Response:
        """Land the file that was shown."""
        source, sha256 = visit.text("source"), visit.text("sha256")
        path = _kept(visit, sha256)
        if path is None or source not in {known.table for known in FILE_SOURCES}:
            return self._form(visit, "That preview is over. Choose the file again.")
        result = ingest_file(
            visit.conninfo,
            path,
            source,
            received_by=visit.user.username,
            supersedes=_corrected(visit),
            withdraw_missing=bool(visit.text("withdraw_missing")),
            limits=Limits.of(visit.settings),
        )
        shutil.rmtree(path.parent, ignore_errors=True)
        _audit(visit, source, result)
        if result.status is FileStatus.LANDED:
            visit.tell(f"{result.rows_landed} rows have landed. The next run reads them.")
        else:
            visit.tell(f"Nothing has landed: {_why(result)}.", "warning")
        return visit.go(f"/log/files/{result.file_id}")

    def _form(self, visit: Visit, problem: str = "") -> Response:
        status = 422 if problem else 200
        return self.show(visit, "upload.html", status, problem=problem, sources=FILE_SOURCES)


def _audit(visit: Visit, source: str, result: FileResult) -> None:
    record(
        visit.connection,
        visit.user.username,
        "file.upload",
        f"file {result.file_id}",
        name=result.name,
        source=source,
        status=result.status,
        rows=result.rows_landed,
    )


def _why(result: FileResult) -> str:
    if result.status is FileStatus.DUPLICATE:
        return f"the same file landed before, as file {result.duplicate_of}"
    return result.error or "the file was not taken"


def _corrected(visit: Visit) -> int | None:
    """The number of the file that this one corrects."""
    text = visit.text("corrects")
    number = read_number(text)
    if text and number is None:
        raise HTTPException(400, "Name the file that it corrects by its number.")
    return number


def _folder(visit: Visit) -> Path:
    return visit.settings.home / "uploads" / visit.user.username


def _keep(visit: Visit, sent: UploadFile) -> Path:
    """Store what was sent; forget what was left behind by previews that nobody confirmed."""
    folder = _folder(visit)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    sha256 = hashlib.file_digest(sent.file, "sha256").hexdigest()  # type: ignore[arg-type]  # a spooled file
    sent.file.seek(0)
    name = _SAFE_NAME.sub("_", Path(sent.filename or "").name)
    # File systems count bytes.
    name = name.encode()[-LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "file"
    shutil.rmtree(folder / sha256, ignore_errors=True)
    (folder / sha256).mkdir(mode=0o700, exist_ok=True)
    path = folder / sha256 / name
    with path.open("wb") as kept:
        shutil.copyfileobj(sent.file, kept)
    return path


def _kept(visit: Visit, sha256: str) -> Path | None:
    """The user's own file of that content, if its preview was not long ago."""
    folder = _folder(visit) / sha256
    if not _SHA256.fullmatch(sha256) or not folder.is_dir():
        return None
    return next(folder.iterdir(), None)
