"""Where a request comes from: which names a server answers to, and whose page sent it.

What belongs here: the Host, Origin and Sec-Fetch-Site headers, as both servers for people read
them.
What does not: who is logged in (`auth`).

A foreign Host is a name of somebody else that was pointed at us, so that a page of his may read our
answers. The origin check does not depend on a cookie, which a neighbouring site could set.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def hosts(url: str | None, port: int) -> frozenset[str]:
    """The names of a server that people open at `url`, and on its own machine at `port`."""
    own = {f"{name}:{port}" for name in LOOPBACK}
    return frozenset(own | ({urlsplit(url).netloc.lower()} if url else set()))


def origin_of(url: str) -> str:
    """Scheme, host and port, as headers name an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_ours(headers: Headers, names: frozenset[str] | None) -> bool:
    """Whether the request was meant for one of these names; any does where None are known."""
    return names is None or headers.get("host", "").lower() in names


def from_here(headers: Headers) -> bool:
    """Whether a browser sent it from one of our own pages; what is no browser says nothing."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
