"""Who is let in, and how the doors that come before Fineract's own code say no."""

from typing import Any

import httpx
import pytest

from repayment_platform_tests.sandbox.server import API, Server, repayment


def _assert_servlet_error(answer: httpx.Response, status: int) -> None:
    body = answer.json()
    assert answer.status_code == status
    assert set(body) == {"timestamp", "status", "error", "path"}
    assert body["status"] == status
    assert answer.headers["www-authenticate"] == 'Basic realm="Fineract Platform API"'


@pytest.mark.parametrize("auth", [None, ("mifos", "wrong"), ("other", "password")])
def test_a_stranger_is_answered_401_by_the_servlet(
    server: Server, auth: tuple[str, str] | None
) -> None:
    path = f"/loans/external-id/{server.new_loan()}/transactions?command=repayment"
    answer = server.client(auth=auth).post(path, json=repayment())
    _assert_servlet_error(answer, 401)
    assert answer.json()["path"] == API + path.partition("?")[0]


@pytest.mark.parametrize("headers", [{}, {"Fineract-Platform-TenantId": "other"}])
def test_a_missing_or_unknown_tenant_is_answered_400_by_the_servlet(
    server: Server, headers: dict[str, Any]
) -> None:
    answer = server.client(headers=headers).get(f"/loans/external-id/{server.new_loan()}")
    _assert_servlet_error(answer, 400)


def test_the_tenant_may_be_named_in_the_query(server: Server) -> None:
    path = f"/loans/external-id/{server.new_loan()}?tenantIdentifier=default"
    assert server.client(headers={}).get(path).status_code == 200


def test_health_needs_no_credentials(server: Server) -> None:
    answer = httpx.get(f"{server.root_url}/fineract-provider/actuator/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "UP"})


def test_an_unknown_path_is_answered_404_by_the_servlet(server: Server) -> None:
    answer = server.api.get("/no-such-resource")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_payment_types_are_listed(server: Server) -> None:
    listed = server.api.get("/paymenttypes").json()
    assert {"id": 1, "name": "Money Transfer"}.items() <= listed[0].items()
