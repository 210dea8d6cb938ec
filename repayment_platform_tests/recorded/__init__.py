"""What a running Fineract answered: requests and answers, in the order of sending.

What belongs here: the recordings and reading them. What does not: comparing anybody with them.
`README.md` says what Fineract this was and what it had in its books.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    """One request below `/fineract-provider/api/v1`, and its answer."""

    name: str
    method: str
    path: str
    tenant: str
    """Empty: no such header was sent."""
    idempotency_key: str | None
    body: Any
    """JSON; a text was sent as it is, None was not sent."""
    status: int
    headers: dict[str, str]
    answer: Any

    def __str__(self) -> str:
        return self.name

    @property
    def sent(self) -> bytes | None:
        """The body of the request."""
        if self.body is None or isinstance(self.body, str):
            return None if self.body is None else self.body.encode()
        return json.dumps(self.body).encode()


def recordings() -> list[Recording]:
    """All of them, in the order in which they were sent."""
    names = (_HERE / "order.txt").read_text().split()
    return [_read(name.removesuffix(".json")) for name in names]


def _read(name: str) -> Recording:
    told = json.loads((_HERE / "answers" / f"{name}.json").read_text())
    request, response = told["request"], told["response"]
    return Recording(
        name,
        request["method"],
        request["path"],
        request.get("tenant", "default"),
        request.get("idempotencyKey"),
        request.get("body"),
        response["status"],
        response["headers"],
        response["body"],
    )
