"""Somebody who opens the screens and Dagster through the proxy, at one name over TLS.

What belongs here: the headers that a proxy adds, where it leads a path to, the cookies of the one
name, logging in. What does not: what is expected of the answers.
"""

from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import httpx

NAME = "operations.example"
SITE = f"https://{NAME}"
_CSRF = "starlette_admin_csrftoken"


@dataclass
class Visitor:
    """A browser of the one name."""

    operations_port: int
    dagster_port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, led by its path as the Caddyfile leads it."""
        port = self.dagster_port if path.startswith("/dagster") else self.operations_port
        headers = {
            "host": NAME,
            "origin": SITE,
            "x-forwarded-proto": "https",
            "x-forwarded-for": "198.51.100.7",
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        url = f"http://127.0.0.1:{port}{path}"
        headers |= more.pop("headers", {})
        answer = httpx.request(method, url, headers=headers, trust_env=False, timeout=60, **more)
        for line in answer.headers.get_list("set-cookie"):
            self.cookies |= {name: each.value for name, each in SimpleCookie(line).items()}
        return answer

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def log_in(self, name: str, password: str, back: str) -> str:
        """Fill in the form; where the answer leads to."""
        path = f"/login?next={back}"
        self.get(path)
        form = {"username": name, "password": password, "csrftoken": self.cookies[_CSRF]}
        return str(self.ask("POST", path, data=form).headers.get("location"))

    def graphql(self, query: str, variables: Any = None) -> Any:
        body = {"query": query, "variables": variables}
        answer = self.ask("POST", "/dagster/graphql", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]
