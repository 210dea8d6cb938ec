"""`docs/exceptions.md`, made from the registry: `python -m repayment_platform.exceptions.page`.

What belongs here: the page's form. What does not: what it says (`kinds`).
"""

from collections.abc import Iterable

from repayment_platform.exceptions.kinds import KINDS, Kind

_HEAD = """# Exceptions: what a person must judge

Everything that a person must judge stands in one table, `"CORE"."CORE_EXCEPTION"`, and in one list,
`./run exceptions`. `"CORE"."CORE_HOLD"` is a view of those that keep a payment from being posted.
`./run decide 17-a3f2 DECISION --why …` takes a decision; the digits after the number tell what was
seen, so nobody decides what has changed meanwhile.

What is open follows from the facts: with every run the payments that changed are compared with what
is open about them. What is new opens, what changed is brought up to date, what is gone closes by
itself. A decision stands while the facts that it was given for are the same; when they differ the
question is asked anew, and says what had been decided.

This page is made from the registry of kinds (`repayment_platform/exceptions/kinds.py`).
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *_lines()])


def _lines() -> Iterable[str]:
    for title, holds in (("Hold a payment", True), ("Hold nothing", False)):
        yield f"## {title}\n"
        for kind in KINDS.values():
            if kind.holds is holds:
                yield from _of(kind)


def _of(kind: Kind) -> Iterable[str]:
    yield f"### `{kind.name}`\n"
    closes = f"Closes by itself when {kind.gone}" if kind.gone else "Only a person closes it"
    yield f"Asked when {kind.when}. {closes}.\n"
    if not kind.choices:
        yield "Nothing is to be decided.\n"
        return
    yield "| Decision | It means | Who | Then |"
    yield "| --- | --- | --- | --- |"
    for choice in kind.choices:
        yield f"| `{choice.decision}` | {choice.words} | {choice.right} | {choice.follows} |"
    yield ""


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - that is what it is for
