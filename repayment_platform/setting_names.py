"""Names of settings: which there are, and which were meant by one that is none.

What belongs here: names only. What does not: values (`settings`).

A name is refused where it can hardly be anybody else's: it begins like ours, or it is a letter or
two off one of ours. Accepted, such a setting would do nothing, and the platform would run on a
database or a ledger that nobody has chosen.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rapidfuzz.distance import OSA

from repayment_platform.sources.registry import SOURCES, Kind

PREFIXES = (
    "REPAYMENT_",
    "FINERACT_",
    "POSTING_",
    "WEBHOOK_",
    "RAZORPAY_WEBHOOK_",
    "CASHFREE_WEBHOOK_",
    "OPS_",
    "RECON_",
    "ALERT_",
    "SANDBOX_",
    "CODE_SERVER_",
)
"""Names that begin so are ours. Not DAGSTER_ and POSTGRES_, which others use as well."""
TESTS = "REPAYMENT_TEST_"
"""How names begin that only the project's own tests read."""
OUTSIDE_SETTINGS = frozenset(
    {
        "REPAYMENT_ENV_FILE",  # where settings are read from
        "CODE_SERVER_HOST",  # read by deploy/start and by deploy/workspace.yaml
        "FORWARDED_ALLOW_IPS",  # read by uvicorn
    }
)
MOST_LETTERS_OFF = 2


def webhook_secrets_name(provider: str, lender: str) -> str:
    """The setting that holds the secrets of one endpoint of the receiver."""
    return f"{provider}_WEBHOOK_SECRETS_{lender}".upper()


def known_names(fields: Iterable[str]) -> frozenset[str]:
    """Every name that means something, given the fields of the settings."""
    secrets = (
        webhook_secrets_name(source.kind, source.lender)
        for source in SOURCES.values()
        if source.kind is not Kind.FILE
    )
    return OUTSIDE_SETTINGS | {field.upper() for field in fields} | set(secrets)


def unknown_names(given: Mapping[str, object], known: frozenset[str], where: str) -> Iterator[str]:
    """A line for each name that is none and was meant as one."""
    for name in sorted(given):
        wanted = name.upper()
        if wanted in known or wanted.startswith(TESTS):
            continue
        likely = likely_name(wanted, known)
        if likely:
            yield f"{name} ({where}) is no setting; did you mean {likely}?"
        elif wanted.startswith(PREFIXES):
            yield f"{name} ({where}) is no setting; README.md lists those there are"


def likely_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that this one is a letter or two off."""
    near = sorted((OSA.distance(name, other), other) for other in known if _resembles(name, other))
    return near[0][1] if near else None


def _resembles(name: str, other: str) -> bool:
    if OSA.distance(name, other, score_cutoff=MOST_LETTERS_OFF) > MOST_LETTERS_OFF:
        return False
    words, others = name.split("_"), other.split("_")
    if len(words) != len(others):
        return True
    # POSTGRES_HOST is another word than POSTGRES_PORT, and no slip of the hand.
    return all(
        OSA.distance(word, meant) <= len(meant) // 3
        for word, meant in zip(words, others, strict=True)
    )


def likely_file(path: Path) -> Path | None:
    """The file of the same folder whose name is a letter or two off."""
    if not path.parent.is_dir():
        return None
    names = (file.name for file in path.parent.iterdir() if file.is_file())
    near = sorted((OSA.distance(path.name, name), name) for name in names)
    close = [name for off, name in near if off <= MOST_LETTERS_OFF]
    return path.with_name(close[0]) if close else None
