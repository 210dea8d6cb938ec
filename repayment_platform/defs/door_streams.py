"""Bodies that pass the door: read whole, given again, with a bar for people.

What belongs here: ASGI messages of HTTP. What does not: who may pass (`door`).
"""

from html import escape

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Send

from repayment_platform.web.operations.users import User

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes of one GraphQL request; run config is typed by people."""
HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
SEEN_AS = "dagster_seen_as"
"""The cookie that says whose page the browser was shown last."""
# In the middle of the bottom, where Dagster has no buttons, and never in the way of a click.
_BAR = (
    '<div style="position:fixed;left:50%;bottom:0;transform:translateX(-50%);z-index:20;'
    "padding:2px 10px;pointer-events:none;"
    'background:#fff;border:1px solid #ccc;font:12px sans-serif;color:#333">{name} ({role}) · '
    '<a style="pointer-events:auto" href="{screens}/">Operations screens, log out</a></div></body>'
)


async def whole_body(receive: Receive) -> bytes | None:
    """The body of a request; None where it is too large, or its sender has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


def replayed(body: bytes) -> Receive:
    """A receive that gives this body, and then nothing more."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def with_bar(send: Send, user: User, screens: str, seen_as: str | None) -> Send:
    """Adds our headers to every answer, and to Dagster's page who is logged in and the way back.

    Dagster's page remembers in the browser what its user may do. Where that was another one, or the
    role has changed, the browser is told to forget it.
    """
    now = f"{user.name}.{user.role.label}"
    start: Message | None = None
    page = bytearray()

    async def send_on(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if headers.get("content-type", "").startswith("text/html"):
                if seen_as != now:
                    headers["clear-site-data"] = '"storage"'
                    cookie = f"{SEEN_AS}={now}; HttpOnly; Path=/; SameSite=Lax"
                    headers.append("set-cookie", cookie)
                start = message
                return
        elif start is not None:
            page.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            whole = _barred(bytes(page), user, screens)
            MutableHeaders(scope=start)["content-length"] = str(len(whole))
            await send(start)
            message = {"type": "http.response.body", "body": whole}
        await send(message)

    return send_on


def _barred(page: bytes, user: User, screens: str) -> bytes:
    bar = _BAR.format(name=escape(user.name), role=user.role.label, screens=escape(screens))
    before, end, after = page.rpartition(b"</body>")
    return before + bar.encode() + after if end else page
