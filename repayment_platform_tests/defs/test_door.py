"""Dagster's real webserver behind the door: who gets what, and under which name."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import dagster as dg
import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from repayment_platform.defs import door_rules
from repayment_platform.defs.door_table import door_page
from repayment_platform.defs.launched_by import LAUNCHED_BY
from repayment_platform.settings import ROOT
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.access_table import access_page
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.defs.premises import Premises, ask, opened

HERE = "http://127.0.0.1:3000"
SOCKET = "ws://127.0.0.1:3000/graphql"
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launched: launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
SELECTOR = {
    "repositoryLocationName": "repayment_platform",
    "repositoryName": "__repository__",
    "jobName": "reconcile_repayments",
}


@pytest.fixture(scope="module")
def premises(
    server: DatabaseUrls, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Premises]:
    with (
        copied_database(server, migrated_template) as urls,
        opened(urls, tmp_path_factory.mktemp("home")) as premises,
    ):
        yield premises


def launch(visitor: TestClient, config: dict[str, Any], **tags: str) -> httpx.Response:
    params = {
        "selector": SELECTOR,
        "runConfigData": {"ops": {"reconciled_repayments": {"config": config}}},
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
    }
    return ask(visitor, LAUNCH, {"params": params})


# ── a mere link, another site, a socket ─────────────────────────────────────────────────────


@pytest.mark.parametrize("role", [None, *Role])
def test_a_link_launches_nothing_whoever_follows_it(premises: Premises, role: Role | None) -> None:
    link = {"query": "mutation { reloadWorkspace { __typename } }"}
    before = len(premises.audited()), premises.instance.get_runs_count()
    visitor = premises.visitor(role)
    for headers in ({}, {"accept": "text/html"}):
        sent = visitor.get("/graphql", params=link, headers=headers)
        assert sent.status_code == (405 if role else 303 if headers else 401)
    assert (len(premises.audited()), premises.instance.get_runs_count()) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1:3000.evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_foreign_host_or_origin_is_refused_with_the_best_of_sessions(
    premises: Premises, headers: dict[str, str]
) -> None:
    admin = premises.visitor(Role.ADMIN)
    before = len(premises.audited())
    sent = ask(admin, "mutation { reloadWorkspace { __typename } }", **headers)
    assert sent.status_code in (403, 421)
    assert len(premises.audited()) == before
    if "sec-fetch-site" not in headers:
        with pytest.raises(WebSocketDisconnect):
            admin.websocket_connect(SOCKET, headers={"origin": HERE} | headers).__enter__()


@pytest.mark.parametrize("role", [None, *Role])
def test_a_path_that_dagster_reads_otherwise_leads_nowhere(
    premises: Premises, role: Role | None
) -> None:
    visitor, before = premises.visitor(role), len(premises.audited())
    for end in ("%0A", "%0D", "%00"):
        asked = visitor.get(f"/graphql{end}?query={quote('mutation { setNuxSeen }')}")
        assert asked.status_code in (302, 303, 401, 403, 404, 405)
    assert len(premises.audited()) == before


def test_a_socket_needs_a_session_and_its_origin(premises: Premises) -> None:
    for visitor, headers in (
        (premises.visitor(), {"origin": HERE}),
        (premises.visitor(Role.VIEWER), {}),
    ):
        with pytest.raises(WebSocketDisconnect):
            visitor.websocket_connect(SOCKET, headers=headers).__enter__()


def test_a_socket_tells_and_is_closed_at_a_mutation(premises: Premises) -> None:
    admin = premises.visitor(Role.ADMIN)
    with admin.websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        query = "subscription { locationStateChangeEvents { event { eventType } } }"
        socket.send_json({"type": "start", "id": "1", "payload": {"query": query}})
        mutation = "mutation { reloadWorkspace { __typename } }"
        socket.send_json({"type": "start", "id": "2", "payload": {"query": mutation}})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


def test_a_socket_ends_with_its_session(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repayment_platform.defs.door_sockets.LOOK_SECONDS", 0)
    viewer = premises.visitor(Role.VIEWER)
    with viewer.websocket_connect(SOCKET, headers={"origin": HERE}) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        sessions.end(premises.connection, viewer.cookies[sessions.COOKIE])
        socket.send_json({"type": "connection_init"})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


# ── role × route × method ───────────────────────────────────────────────────────────────────


def routes_of(app: Any) -> list[tuple[str, set[str]]]:
    found: list[tuple[str, set[str]]] = []
    for route in app.routes:
        if isinstance(route, WebSocketRoute):
            found.append((route.path, {"WEBSOCKET"}))
        elif isinstance(route, Route):
            found.append((route.path, set(route.methods or ()) - {"HEAD"}))
        elif isinstance(route, Mount):
            found.append((f"{route.path}/x", {"GET"}))
    return [(re.sub(r"{.*?}", "x", path), methods) for path, methods in found]


def test_every_route_of_dagster_has_a_rule_of_its_own_or_is_a_page(premises: Premises) -> None:
    routes = routes_of(premises.dagster)
    assert ("/graphql", {"GET", "POST"}) in routes
    pages = door_rules.ROUTES[-1]
    changing = [(path, m) for path, methods in routes for m in methods if m not in ("GET",)]
    for path, method in changing:
        rule = next(rule for rule in door_rules.ROUTES if rule.covers(path))
        assert rule is not pages, path
        assert method in rule.methods, path


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_lets_in_whom_the_table_lets_in_and_nobody_else(
    premises: Premises, role: Role | None
) -> None:
    visitor = premises.visitor(role)
    for rule in door_rules.ROUTES:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            path = rule.path.replace("…", "favicon.png" if rule.path == "/…" else "x")
            sent = visitor.request(method, path, json={"query": "{ version }"})
            least = rule.methods.get(method)
            if role is None:
                assert sent.status_code == 401, (method, path)
            elif least is None:
                assert sent.status_code == 405, (method, path)
            elif role >= least:
                assert sent.status_code in (200, 404, 500), (method, path)
            else:
                assert sent.status_code == 403, (method, path)


def test_every_mutation_of_dagster_is_named_and_nothing_else_is(premises: Premises) -> None:
    admin = premises.visitor(Role.ADMIN)
    query = "{ __schema { mutationType { fields { name } } } }"
    fields = ask(admin, query).json()["data"]["__schema"]["mutationType"]["fields"]
    assert {field["name"] for field in fields} == set(door_rules.MUTATIONS)


@pytest.mark.parametrize("role", [None, *Role])
def test_every_operation_is_open_to_whom_the_table_says(
    premises: Premises, role: Role | None
) -> None:
    visitor = premises.visitor(role)
    assert ask(visitor, "{ version }").status_code == (200 if role else 401)
    for name, least in door_rules.MUTATIONS.items():
        before = len(premises.audited())
        # Its arguments are missing: who may ask is told so by Dagster, and nothing happens.
        sent = ask(visitor, f"mutation {{ {name}(none: 1) {{ __typename }} }}")
        allowed = role is not None and least is not None and role >= least
        assert sent.status_code == (400 if allowed else 403 if role else 401), name
        assert len(premises.audited()) == before + allowed, name


@pytest.mark.parametrize(
    "query",
    [
        "mutation { look: launchRun(executionParams: {}) { __typename } }",
        "mutation { ...all } fragment all on Mutation { ...more } fragment more on Mutation"
        " { launchRun(executionParams: {}) { __typename } ...all }",
        "mutation { ... on Mutation { launchRun(executionParams: {}) { __typename } } }",
        "query look { version } mutation act { launchRun(executionParams: {}) { __typename } }",
        "mutation { launchRun @skip(if: true) (executionParams: {}) { __typename } }",
    ],
)
def test_a_viewers_mutation_is_found_however_it_is_written(premises: Premises, query: str) -> None:
    viewer = premises.visitor(Role.VIEWER)
    assert ask(viewer, query).status_code in (400, 403)
    for content_type in ("application/graphql", "text/plain"):
        sent = viewer.post("/graphql", content=query, headers={"content-type": content_type})
        assert sent.status_code == 400
    sent = viewer.post("/graphql", params={"query": query}, json={"query": "{ version }"})
    assert sent.json() == {"data": {"version": dg.__version__}}


def test_one_body_is_read_one_way(premises: Premises) -> None:
    """Of a name that stands twice the last counts, here and there."""
    viewer = premises.visitor(Role.VIEWER)
    body = '{"query": "mutation { reloadWorkspace { __typename } }", "query": "{ version }"}'
    sent = viewer.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert sent.json()["data"] == {"version": dg.__version__}


def test_what_is_too_large_or_no_graphql_is_refused(premises: Premises) -> None:
    admin = premises.visitor(Role.ADMIN)
    assert admin.post("/graphql", content=b"x" * 3_000_000).status_code == 413
    for body in ([], {"query": None}, {"query": "{"}, {"query": "{a" * 5000}, "text"):
        assert admin.post("/graphql", json=body).status_code == 400


# ── people ──────────────────────────────────────────────────────────────────────────────────


def test_without_a_session_a_page_leads_to_the_log_in_and_back(premises: Premises) -> None:
    page = premises.visitor().get("/runs?q=a%20b", headers={"accept": "text/html"})
    back = "http%3A%2F%2F127.0.0.1%3A3000%2Fruns%3Fq%3Da%2520b"
    assert page.headers["location"] == f"http://127.0.0.1:8082/login?next={back}"
    assert premises.visitor().get("/healthz", headers={"host": "x"}).text == "ok"


def test_dagsters_page_says_who_is_logged_in_and_leads_to_the_screens(premises: Premises) -> None:
    page = premises.visitor(Role.VIEWER).get("/runs", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "viewer (viewer)" in page.text
    assert 'href="http://127.0.0.1:8082/"' in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert int(page.headers["content-length"]) == len(page.content)


def test_another_user_of_a_browser_does_not_find_what_the_last_one_might_do(
    premises: Premises,
) -> None:
    visitor = premises.visitor(Role.VIEWER)

    def forgets() -> bool:
        return "clear-site-data" in visitor.get("/runs", headers={"accept": "text/html"}).headers

    assert [forgets(), forgets()] == [True, False]
    token = sessions.start(premises.connection, "viewer")
    premises.connection.execute('UPDATE "CORE"."CORE_USER" SET role = \'operator\'')
    visitor.cookies.set(sessions.COOKIE, token)
    assert forgets()
    premises.connection.execute('UPDATE "CORE"."CORE_USER" SET role = name')


def test_to_dagster_itself_a_viewer_may_only_look(premises: Premises) -> None:
    def allowed(role: Role) -> bool:
        query = "{ permissions { permission value } }"
        found = ask(premises.visitor(role), query).json()["data"]["permissions"]
        return {each["permission"]: each["value"] for each in found}["launch_pipeline_execution"]

    assert [allowed(role) for role in Role] == [False, True, True, True]


def test_a_run_bears_the_name_of_who_was_logged_in_whatever_it_says_itself(
    premises: Premises,
) -> None:
    operator = premises.visitor(Role.OPERATOR)
    config = {"lender": "UGRO", "requested_by": "somebody else", "dry_run": False}
    sent = launch(operator, config, launched_by="the director").json()["data"]["launched"]
    assert sent["__typename"] == "LaunchRunSuccess", sent
    run_id = sent["run"]["runId"]
    run = premises.instance.get_run_by_id(run_id)
    assert run
    assert run.tags[LAUNCHED_BY] == "operator"
    assert premises.audited()[-2:] == [
        ("operator", "dagster.launchRun", "jobName reconcile_repayments"),
        ("operator", "run.launch", f"run {run_id}"),
    ]
    again = """mutation($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p)
               { __typename ... on LaunchRunSuccess { run { runId } } } }"""
    premises.instance.report_run_failed(run)
    how = {"parentRunId": run_id, "strategy": "ALL_STEPS"}
    sent = ask(premises.visitor(Role.ADMIN), again, {"p": how}).json()["data"]
    second = premises.instance.get_run_by_id(sent["launchRunReexecution"]["run"]["runId"])
    assert second
    assert second.tags[LAUNCHED_BY] == "admin"


@pytest.mark.parametrize(
    "wrong", [{"lender": "UGROO"}, {"lender": "DMI"}, {"recon_source": "PAYPAL"}, {"lender": ""}]
)
def test_a_name_that_is_none_is_refused_before_a_run_starts(
    premises: Premises, wrong: dict[str, str]
) -> None:
    before = premises.instance.get_runs_count()
    sent = launch(premises.visitor(Role.OPERATOR), wrong).json()["data"]["launched"]
    assert sent["__typename"] == "RunConfigValidationInvalid", json.dumps(sent)
    assert premises.instance.get_runs_count() == before


def test_the_table_in_the_documentation_is_made_from_the_rules(premises: Premises) -> None:
    kept = (ROOT / "docs" / "access.md").read_text()
    screens = access_page(create_app(premises.settings, ""))
    assert kept == screens + door_page(), (
        "write it anew: python -m repayment_platform.defs.door_table > docs/access.md"
    )
