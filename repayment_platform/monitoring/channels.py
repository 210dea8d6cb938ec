"""The addresses that alerts go to: e-mail, Slack, webhooks, as apprise URLs.

What belongs here: reading ALERT_URLS and sending. What does not: what is sent (`incidents`).
An address holds passwords, so it is named by a digest wherever it is written down.
"""

import hashlib

from pydantic import SecretStr

from repayment_platform.monitoring.incidents import Send


class BadAlertUrl(ValueError):
    """An entry of ALERT_URLS is none that apprise knows; the message gives its place only."""


def channels(urls: SecretStr) -> dict[str, Send]:
    """A way to each address of ALERT_URLS, by digest.

    Raises:
        BadAlertUrl: one is not an apprise URL.
    """
    found: dict[str, Send] = {}
    for position, url in enumerate(urls.get_secret_value().split(), start=1):
        found[hashlib.sha256(url.encode()).hexdigest()[:12]] = _channel(url, position)
    return found


def _channel(url: str, position: int) -> Send:
    # A second to load, and most processes never send.
    from apprise import Apprise

    way = Apprise()
    if not way.add(url):
        raise BadAlertUrl(f"ALERT_URLS: entry {position} is not an address that apprise knows")
    return lambda title, text: bool(way.notify(title=title, body=text))
