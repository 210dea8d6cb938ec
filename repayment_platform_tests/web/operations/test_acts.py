"""What people do on the screens: it happens once, with a row of the audit log, or not at all."""

from typing import Any

import pytest

from repayment_platform.settings import ROOT
from repayment_platform.web.operations.screens.lenders import LIMITS
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import DAY, Browser, Site


@pytest.fixture
def operator(site: Site) -> Browser:
    return site.as_role(Role.OPERATOR)


def test_a_hold_is_decided_once_with_a_reason(site: Site, operator: Browser) -> None:
    key = site.payment("held", reason="held")
    path = f"/exceptions/{site.hold(key)}"
    before = site.state()
    seen = _seen(operator)
    for bad in ({}, {"decision": "release"}, {"decision": "post it", "why": "because"}):
        operator.post(path, bad | {"seen": seen})
    operator.post("/exceptions/999", {"decision": "release", "why": "because", "seen": seen})
    assert site.state() == before
    for _ in range(2):
        about = {"decision": "release", "why": "the bank says so", "seen": seen}
        operator.post(path, about)
    assert site.audited() == [("operator", "hold.release", key)]
    row = site.one('SELECT decision, decided_by, decided_why FROM "CORE"."CORE_HOLD"')
    assert row == ("release", "operator", "the bank says so")


def test_a_hold_of_a_payment_that_changed_since_the_page_was_shown_is_not_decided(
    site: Site, operator: Browser
) -> None:
    key = site.payment("held", reason="held")
    path = f"/exceptions/{site.hold(key)}"
    seen = _seen(operator)
    site.connection.execute('UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = amount + 1')
    before = site.state()

    for stale in ({}, {"seen": seen}):
        operator.post(path, {"decision": "release", "why": "the bank says so"} | stale)
        assert "the payment has changed" in operator.told()

    assert site.state() == before


def test_an_exception_is_closed_once_with_a_reason(site: Site, operator: Browser) -> None:
    key = site.payment("success")
    path = f"/exceptions/{site.exception(key)}"
    about = {"decision": "leave", "seen": _seen(operator, "/exceptions/posted"), "list": "posted"}
    for bad in ({"why": ""}, {"why": "so", "decision": "release"}):
        operator.post(path, about | bad)
    assert site.one('SELECT closed_at FROM "CORE"."CORE_EXCEPTION"') is None
    for _ in range(2):
        operator.post(path, about | {"why": "undone in Fineract"})
    assert site.audited() == [("operator", "exception.close", key)]
    assert "Nothing was changed" in operator.told()


def test_a_loan_is_named_for_a_payment_without_one(site: Site, operator: Browser) -> None:
    key = site.payment("", loan=None, ref="razorpay:pay_1", match="loan_unknown")
    assert key[:8] in operator.get("/exceptions/unmatched").text
    path = f"/exceptions/unmatched/{key}"
    before = site.state()
    for bad in ({}, {"loan": "UGRO-LN-000009"}, {"loan": "DMI-APP-000001", "why": "because"}):
        assert operator.post(path, bad).status_code == 422
    assert site.state() == before
    form = {"loan": "", "other_loan": "ugro-ln-000009", "why": "the borrower called"}
    assert operator.post(path, form).status_code == 303
    assert site.audited() == [("operator", "loan.map", key)]
    mapping = site.one('SELECT loan_external_id, mapped_by FROM "CORE"."CORE_LOAN_MAPPING"')
    assert mapping == ("UGRO-LN-000009", "operator")


def test_a_lender_is_paused_resumed_and_limited_each_by_its_role(site: Site) -> None:
    site.as_role(Role.OPERATOR).post("/lenders/DMI/pause", {"why": "audit week"})
    site.as_role(Role.APPROVER).post("/lenders/DMI/resume")
    limits = {
        "max_payment": "₹1,00,000.50",
        "max_run_count": "5,000",
        "max_run_amount": "",
        "post_from": "2026-11-01",
    }
    site.as_role(Role.ADMIN).post("/lenders/DMI/limits", limits)
    assert site.audited() == [
        (role, "lender.guards", "DMI") for role in ("operator", "approver", "admin")
    ]
    row: Any = site.one(
        """SELECT paused, max_payment::text, max_run_count, max_run_amount, post_from::text
           FROM "CORE"."CORE_LENDER_SETTING" """
    )
    assert row == (False, "100000.50", 5000, None, "2026-11-01")


def test_limits_that_the_form_does_not_name_are_not_taken_away(site: Site) -> None:
    admin = site.as_role(Role.ADMIN)
    admin.post("/lenders/DMI/limits", dict.fromkeys(LIMITS, "") | {"max_payment": "500"})
    before = site.state()
    admin.post("/lenders/DMI/limits", {"max_run_count": "5"})
    assert "came without" in admin.told()
    assert site.state() == before


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("max_payment", "1.001"),
        ("max_payment", "-5"),
        ("max_payment", "NaN"),
        ("max_payment", "1e9"),
        ("max_run_count", "many"),
        ("post_from", "31/12/2026"),
    ],
)
def test_a_limit_that_cannot_be_read_changes_nothing(site: Site, field: str, text: str) -> None:
    admin = site.as_role(Role.ADMIN)
    before = site.state()
    admin.post("/lenders/DMI/limits", dict.fromkeys(LIMITS, "") | {field: text})
    assert "Nothing was changed" in admin.told()
    assert admin.post("/lenders/NOBODY/limits", {}).status_code == 404
    assert site.state() == before


def test_a_file_is_previewed_then_landed_once(site: Site, operator: Browser) -> None:
    content = _sample()
    sent = {"file": ("../../NACH november.csv", content, "text/csv")}
    source = {"source": "RAW_ARTHMATE_NACH_CSV"}
    other = site.browser("ravi", Role.OPERATOR)
    before = site.state()
    preview = operator.post("/log/upload", source, files=sent)
    assert preview.status_code == 200
    assert site.state() == before, "a preview changes nothing"
    sha256 = preview.text.split('name="sha256" value="')[1][:64]
    assert other.post("/log/upload/confirm", source | {"sha256": sha256}).status_code == 422
    for forged in ("0" * 64, "../" * 21 + "x", ""):
        again = operator.post("/log/upload/confirm", source | {"sha256": forged})
        assert again.status_code == 422
    assert site.state() == before
    landed = operator.post("/log/upload/confirm", source | {"sha256": sha256})
    assert landed.headers["location"].startswith("/log/files/")
    page = operator.get(landed.headers["location"]).text
    assert "Landed" in page
    repeated = operator.post("/log/upload/confirm", source | {"sha256": sha256})
    assert repeated.status_code == 422
    assert [row[:2] for row in site.audited()] == [("operator", "file.upload")]
    assert site.one("""SELECT count(*) FROM "CORE"."CORE_FILE_LOG" WHERE status = 'landed'""") == 1


def test_a_file_that_cannot_be_read_is_told_so_and_nothing_lands(
    site: Site, operator: Browser
) -> None:
    sent = {"file": ("x.csv", b"\x00\x01nonsense", "text/csv")}
    page = operator.post("/log/upload", {"source": "RAW_ARTHMATE_NACH_CSV"}, files=sent)
    assert "It cannot be taken" in page.text
    for source in ("", "RAW_UGRO_RAZORPAY_API", "pg_catalog"):
        assert operator.post("/log/upload", {"source": source}, files=sent).status_code == 422
    assert operator.post("/log/upload", {"source": "RAW_IKF_NACH_CSV"}).status_code == 422
    assert site.audited() == []


def test_a_correction_withdraws_what_may_be_a_rejected_row_only_when_told_to(
    site: Site, operator: Browser
) -> None:
    def upload(content: bytes, **confirmed: str) -> str:
        about = {"source": "RAW_ARTHMATE_NACH_CSV", "corrects": confirmed.pop("corrects", "")}
        sent = {"file": ("file.csv", content, "text/csv")}
        preview = operator.post("/log/upload", about, files=sent).text
        assert ('name="withdraw_missing"' in preview) is (content != _sample())
        about["sha256"] = preview.split('name="sha256" value="')[1][:64]
        landed = operator.post("/log/upload/confirm", about | confirmed)
        return landed.headers["location"].rsplit("/", 1)[1]

    first = upload(_sample())
    damaged = _sample().replace(b'"12,500.50"', b"12x")
    refused = upload(damaged, corrects=first)
    assert "ROWS_MISSING" in operator.told()
    taken = upload(damaged, corrects=first, withdraw_missing="yes")
    told = """SELECT string_agg(status || ' ' || rows_withdrawn, ', ' ORDER BY id)
              FROM "CORE"."CORE_FILE_LOG" WHERE id = ANY (%s)"""
    assert site.one(told, [int(n) for n in (refused, taken)]) == "failed 0, landed 1"


def test_the_preview_of_a_correction_lists_what_changes(site: Site, operator: Browser) -> None:
    about = {"source": "RAW_ARTHMATE_NACH_CSV"}
    sent = {"file": ("file.csv", _sample(), "text/csv")}
    preview = operator.post("/log/upload", about, files=sent).text
    assert "Would change file" not in preview
    about["sha256"] = preview.split('name="sha256" value="')[1][:64]
    landed = operator.post("/log/upload/confirm", about).headers["location"]
    corrected = _sample().replace(b"12,500.50", b"12,600.50").replace(b"53,300.50", b"53,400.50")
    first = landed.rsplit("/", 1)[1]

    sent = {"file": ("file.csv", corrected, "text/csv")}
    preview = operator.post("/log/upload", about | {"corrects": first}, files=sent).text

    assert f"Would change file {first}" in preview
    assert "0 added, 1 changed, 0 withdrawn" in preview
    changes = preview.split("Would change file")[1]
    assert 0 < changes.index("12,500.50") < changes.index("12,600.50")


def test_rejected_rows_are_downloaded_with_reason_and_text(site: Site, operator: Browser) -> None:
    content = _sample().replace(b"2025", b"20x5")
    sent = {"file": ("bad.csv", content, "text/csv")}
    source = {"source": "RAW_ARTHMATE_NACH_CSV"}
    preview = operator.post("/log/upload", source, files=sent)
    sha256 = preview.text.split('name="sha256" value="')[1][:64]
    landed = operator.post("/log/upload/confirm", source | {"sha256": sha256})
    rejected = operator.get(landed.headers["location"] + "/rejected.csv")
    lines = rejected.text.splitlines()
    assert lines[0] == "row_number,reason_code,reason,original"
    assert len(lines) > 1
    assert "20x5" in lines[1]


def test_a_rejected_row_that_a_replay_has_landed_is_listed_no_more(
    site: Site, operator: Browser
) -> None:
    site.insert("CORE_FILE_LOG", name="a.csv", status="landed", received_by="test")
    [number] = site.connection.execute('SELECT id FROM "CORE"."CORE_FILE_LOG"').fetchone() or ()
    for row, replayed in (("waits", None), ("landed since", DAY)):
        site.insert(
            "CORE_QUARANTINE", raw_table="RAW_IKF_NACH_CSV", file_id=number, row_number=2,
            reason_code="BAD_DATE", reason="no date", original=row, replayed_at=replayed,
        )  # fmt: skip
    for path in (f"/log/files/{number}", f"/log/files/{number}/rejected.csv"):
        told = operator.get(path).text
        assert "waits" in told
        assert "landed since" not in told


def test_a_payment_is_held_on_its_page_and_once(site: Site, operator: Browser) -> None:
    key = site.payment("waiting")
    assert "Hold it" in operator.get(f"/payments/{key}").text
    assert "Hold it" not in site.as_role(Role.VIEWER).get(f"/payments/{key}").text
    before = site.state()
    operator.post(f"/payments/{key}/hold", {"why": ""})
    assert "say why" in operator.told()
    assert site.state() == before
    operator.post(f"/payments/{key}/hold", {"why": "the bank is asked"})
    assert "Held" in operator.told()
    held = site.one('SELECT source_key, reason_code, reason FROM "CORE"."CORE_HOLD"')
    assert held == (key, "by_hand", "operator says: the bank is asked")
    assert site.audited()[-1] == ("operator", "hold.by_hand", key)
    assert "Hold it" not in operator.get(f"/payments/{key}").text
    operator.post(f"/payments/{key}/hold", {"why": "once more"})
    assert "held by hand already" in operator.told()
    posted = site.payment("success")
    operator.post(f"/payments/{posted}/hold", {"why": "too late"})
    assert "it is posted" in operator.told()


def _seen(browser: Browser, page: str = "/exceptions") -> str:
    """What a page of exceptions says that its first form is about."""
    return browser.get(page).text.split('name="seen" value="')[1][:32]


def _sample() -> bytes:
    samples = ROOT / "repayment_platform_tests" / "samples"
    return (samples / "nach_generic_lender_mis.csv").read_bytes()
