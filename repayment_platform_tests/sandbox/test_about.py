"""What the sandbox tells of itself and its user, and what that user may then do."""

import httpx
import pytest

from repayment_platform_tests.sandbox.server import Server, code

NEEDED = ["READ_LOAN", "REPAYMENT_LOAN", "ADJUST_LOAN"]


def log_in(server: Server, password: str = "password", **options: object) -> httpx.Response:
    login = {"username": "mifos", "password": password}
    return server.client(**options).post("/authentication", json=login)


def undo(server: Server, loan: str, external_id: str) -> httpx.Response:
    path = f"/loans/external-id/{loan}/transactions/external-id/{external_id}?command=undo"
    day = {"dateFormat": "yyyy-MM-dd", "locale": "en", "transactionDate": "2026-11-20"}
    return server.api.post(path, json=day | {"transactionAmount": 0})


@pytest.mark.parametrize("options", [{}, {"auth": None}], ids=["header", "body"])
def test_a_log_in_names_the_rights_of_the_user(server: Server, options: dict[str, object]) -> None:
    server.faults(rights=NEEDED)
    told = log_in(server, **options).json()
    assert (told["username"], told["authenticated"]) == ("mifos", True)
    assert told["permissions"] == NEEDED
    assert told["base64EncodedAuthenticationKey"] == "bWlmb3M6cGFzc3dvcmQ="


def test_a_wrong_password_logs_nobody_in(server: Server) -> None:
    body = log_in(server, "wrong", auth=None)
    expected = "error.msg.not.authenticated"
    assert (body.status_code, body.json()["userMessageGlobalisationCode"]) == (401, expected)
    header = log_in(server, auth=("mifos", "wrong"))
    assert (header.status_code, header.json()["error"]) == (401, "Unauthorized")
    no_tenant = log_in(server, headers={})
    assert no_tenant.status_code == 400


def test_an_expired_password_hides_the_rights(server: Server) -> None:
    server.faults(password_expired=True)
    told = log_in(server).json()
    assert told["shouldRenewPassword"] is True
    assert "permissions" not in told


@pytest.mark.parametrize("version", [None, "1.13.0-SNAPSHOT"])
def test_the_version_is_told_to_anybody_where_it_is_told(
    server: Server, version: str | None
) -> None:
    server.faults(version=version)
    told = httpx.get(f"{server.root_url}/fineract-provider/actuator/info").json()
    assert (told["git"]["build"]["version"] if told else None) == version


def test_what_the_user_may_not_do_is_refused(server: Server) -> None:
    loan = server.new_loan()
    server.repay(loan, externalId="kept")
    for missing, act in {
        "READ_LOAN": lambda: server.find(loan, "kept"),
        "REPAYMENT_LOAN": lambda: server.repay(loan),
        "ADJUST_LOAN": lambda: undo(server, loan, "kept"),
        "READ_CONFIGURATION": lambda: server.api.get("/configurations/name/maker-checker"),
        "READ_PERMISSION": lambda: server.api.get("/permissions?makerCheckerable=true"),
        "READ_BUSINESS_DATE": lambda: server.api.get("/businessdate/BUSINESS_DATE"),
    }.items():
        server.faults()
        others = server.admin.get("/sandbox/faults").json()["rights"]
        server.faults(rights=[right for right in others if right != missing])
        refused = act()
        assert (refused.status_code, code(refused)) == (403, "error.msg.not.authorized")
    server.faults()
    assert [row["externalId"] for row in server.ledger_of(loan)] == ["kept"]


@pytest.mark.parametrize(
    ("right", "passes"),
    [
        ("ALL_FUNCTIONS", {"maker_checker", "loan_locked"}),
        ("CHECKER_SUPER_USER", {"maker_checker"}),
        ("BYPASS_LOAN_WRITE_PROTECTION", {"loan_locked"}),
        ("WRITEOFF_LOAN", set()),
    ],
)
def test_rights_above_the_guards_pass_them(server: Server, right: str, passes: set[str]) -> None:
    for guard in ("maker_checker", "loan_locked"):
        server.faults({"kind": guard}, rights=[*NEEDED, right])
        posted = "resourceId" in server.repay(server.new_loan()).json()
        assert posted is (guard in passes)


def test_switches_are_told_as_they_are_thrown(server: Server) -> None:
    def shown() -> tuple[object, ...]:
        listed = server.api.get("/permissions?makerCheckerable=true").json()
        switch = server.api.get("/configurations/name/maker-checker").json()
        date = server.api.get("/businessdate/BUSINESS_DATE").json()
        return switch["enabled"], [p["code"] for p in listed if p["selected"]], date["date"]

    assert shown() == (False, [], [2026, 11, 20])
    server.faults({"kind": "maker_checker"}, {"kind": "business_date_behind", "days": 2})
    assert shown() == (True, ["REPAYMENT_LOAN"], [2026, 11, 18])
    assert server.api.get("/configurations/name/none").status_code == 404
