"""The door as a proxy leads to it: one name for both, Dagster below a path of it."""

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations import sessions, users
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.defs.premises import Premises, opened
from repayment_platform_tests.web.operations.site import CSRF_COOKIE

SITE = "https://operations.example"
PASSWORD = "wind over the paddy"
HTML = {"accept": "text/html"}
SOCKET = "wss://operations.example/dagster/graphql"
MUTATION = "mutation { reloadWorkspace { __typename } }"


@pytest.fixture(scope="module")
def premises(
    server: DatabaseUrls, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Premises]:
    home = tmp_path_factory.mktemp("home")
    names = {"ops_url": SITE, "dagster_url": f"{SITE}/dagster/", "listen": "0.0.0.0"}
    with (
        copied_database(server, migrated_template) as urls,
        opened(urls, home, **names) as premises,
    ):
        yield premises


def graphql(visitor: TestClient, query: str, **headers: str) -> int:
    sent = visitor.post("/dagster/graphql", json={"query": query}, headers=headers)
    return sent.status_code


def test_the_log_in_leads_there_and_back_below_the_path(premises: Premises) -> None:
    screens = TestClient(
        create_app(premises.settings, premises.settings.database_url.get_secret_value()),
        SITE,
        follow_redirects=False,
    )
    users.add(premises.connection, "asha", Role.OPERATOR, PASSWORD, "test")
    page = premises.visitor().get("/dagster/runs?q=a%20b", headers=HTML)
    to_log_in = page.headers["location"]
    assert to_log_in.startswith(f"{SITE}/login?next=")
    screens.get(to_log_in)
    form = {"username": "asha", "password": PASSWORD, "csrftoken": screens.cookies[CSRF_COOKIE]}
    entered = screens.post(to_log_in, data=form)
    assert entered.headers["location"] == f"{SITE}/dagster/runs?q=a%20b"
    assert "secure" in entered.headers["set-cookie"].lower()
    assert "path=/;" in entered.headers["set-cookie"].lower()

    visitor = premises.visitor()
    visitor.cookies.set(sessions.COOKIE, screens.cookies[sessions.COOKIE])
    page = visitor.get(entered.headers["location"], headers=HTML)
    assert page.status_code == 200
    assert "asha (operator)" in page.text
    assert f'href="{SITE}/"' in page.text


def test_dagsters_pages_name_their_styles_scripts_and_graphql_below_the_path(
    premises: Premises,
) -> None:
    viewer = premises.visitor(Role.VIEWER)
    page = viewer.get("/dagster/runs", headers=HTML).text
    named = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|png|svg))"', page)
    assert len(named) > 2
    for path in named:
        assert path.startswith("/dagster/")
        assert viewer.get(path).status_code == 200, path
        assert premises.visitor().get(path).status_code == 401, path
    assert '"pathPrefix": "/dagster"' in page or '"pathPrefix":"/dagster"' in page
    assert viewer.get("/dagster/server_info").status_code == 200


def test_graphql_keeps_to_the_roles_below_the_path(premises: Premises) -> None:
    viewer, operator = premises.visitor(Role.VIEWER), premises.visitor(Role.OPERATOR)
    assert graphql(premises.visitor(), "{ version }") == 401
    assert graphql(viewer, "{ version }") == 200
    assert graphql(viewer, MUTATION) == 403
    assert graphql(operator, MUTATION, origin="https://evil.example") == 403
    assert graphql(operator, MUTATION, host="evil.example") == 421
    before = premises.audited()
    assert graphql(operator, MUTATION, origin=SITE) == 200
    assert premises.audited()[len(before) :] == [("operator", "dagster.reloadWorkspace", None)]


@pytest.mark.parametrize("role", [None, *Role])
def test_a_get_changes_nothing_below_the_path(premises: Premises, role: Role | None) -> None:
    visitor, before = premises.visitor(role), premises.audited()
    for path in ("/dagster/graphql", "/dagster//graphql", "/dagster/graphql/", "/graphql"):
        asked = visitor.get(path, params={"query": MUTATION})
        data = asked.json().get("data") if "json" in asked.headers.get("content-type", "") else None
        assert (asked.status_code == 200, data) in ((False, None), (True, None)), path
    asked = visitor.get("/dagster/graphql", params={"query": MUTATION})
    assert asked.status_code == (405 if role else 401)
    assert premises.audited() == before


@pytest.mark.parametrize("path", ["/", "/runs", "/graphql", "/dagsters/runs", "/dagster.evil/x"])
def test_outside_of_the_path_there_is_nothing_but_the_way_to_it(
    premises: Premises, path: str
) -> None:
    admin, before = premises.visitor(Role.ADMIN), premises.audited()
    asked = admin.get(path, headers=HTML)
    assert (asked.status_code, asked.headers["location"]) == (307, "/dagster/")
    assert admin.post(path, json={"query": MUTATION}).status_code == 307
    assert premises.audited() == before
    assert premises.visitor().get("/healthz", headers={"host": "x"}).text == "ok"


def test_a_socket_is_opened_below_the_path_alone(premises: Premises) -> None:
    viewer = premises.visitor(Role.VIEWER)
    with viewer.websocket_connect(SOCKET, headers={"origin": SITE}) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        socket.send_json({"type": "start", "id": "1", "payload": {"query": MUTATION}})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    for url, headers in (
        (SOCKET.replace("/dagster", ""), {"origin": SITE}),
        (SOCKET, {"origin": "https://evil.example"}),
        (SOCKET, {}),
    ):
        with pytest.raises(WebSocketDisconnect):
            viewer.websocket_connect(url, headers=headers).__enter__()
    with pytest.raises(WebSocketDisconnect):
        premises.visitor().websocket_connect(SOCKET, headers={"origin": SITE}).__enter__()
