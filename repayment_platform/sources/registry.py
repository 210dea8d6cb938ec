"""The lenders and their payment sources: the one place that names them.

What belongs here: who the lenders are, which RAW table each source fills, in which layouts
and unit its records come and where the loan id stands. Adding a lender means adding entries
here, a dbt model and a sample. What does not: what a layout's columns mean (`layouts`,
`gateways`), reading files (`formats`), checking signatures, SQL, Dagster.
"""

from dataclasses import dataclass
from enum import StrEnum

from repayment_platform.sources.gateways import (
    CASHFREE_LOAN_ID_IN,
    CASHFREE_LOAN_ID_WEAKLY_IN,
    CASHFREE_SETTLEMENT_RECON,
    RAZORPAY_LOAN_ID_IN,
    RAZORPAY_PAYMENTS_REPORT,
    RAZORPAY_SETTLEMENT_RECON,
)
from repayment_platform.sources.layouts import (
    ACH_DEBIT,
    DMI_COLLECTION_UPDATE,
    NACH,
    NACH_WITH_REFERENCE,
    PAISE,
    RUPEES,
    SHIVALIK_PAYMENTS,
    VIVRITI_PAYMENTS,
    Layout,
    Outcome,
)

__all__ = [
    "ISSUED_NAMESPACES",
    "LENDERS",
    "SOURCES",
    "Kind",
    "Lender",
    "Outcome",
    "PostingMode",
    "References",
    "Source",
    "UnknownSource",
    "automated_lenders",
    "source_named",
]


class UnknownSource(LookupError):
    """No source of that name is registered."""


class PostingMode(StrEnum):
    AUTOMATED = "automated"
    """Posted by the half-hourly pipeline."""
    RECON = "recon"
    """Posted only when an operator asks for it in the Reconciliation screen."""


class Kind(StrEnum):
    RAZORPAY = "razorpay"
    CASHFREE = "cashfree"
    FILE = "file"


class References(StrEnum):
    """How far a payment reference of a source can be trusted to name one payment."""

    ISSUED = "issued"
    """Given by the payment system, one for each payment, for ever."""
    REPORTED = "reported"
    """Unique where it comes from, but a later file may call the same debit otherwise."""
    LOOSE = "loose"
    """Free text: counts within one loan only."""


@dataclass(frozen=True)
class Lender:
    """A lender whose borrowers repay through us."""

    code: str
    name: str
    posting: PostingMode
    loan_id_pattern: str
    """POSIX regular expression of the loan ids as Fineract spells them. References such as
    `UGRO-LN-000123/EMI5` are upper-cased and cut down to the part that matches."""


@dataclass(frozen=True)
class Source:
    """Something that sends payments of one lender, and the RAW table they land in."""

    table: str
    lender: str
    kind: Kind
    reports: str
    """Short name of the channel, shown to operators and used as `recon_source`. NACH and PAYMENT
    also say what kind of report a file is, for reconciliation (dbt's `kind_of_report`)."""
    unit: str
    """`paise` or `rupees`: a property of the format, never guessed from a number."""
    ref_namespace: str | None = None
    """Prefix of this source's `payment_ref`; None where it names no single payment. Two sources
    share one only when they report the ids of one issuer."""
    references: References | None = None
    """What its payment references are; None where it has none."""
    loan_id_in: tuple[str, ...] = ()
    """Webhooks: JSON paths below `payload` (Razorpay) or `data` (Cashfree) where the loan may
    stand. An event that names different loans there names none."""
    loan_id_weakly_in: tuple[str, ...] = ()
    """Further ones, which count only where no other place names a loan, and contradict none."""
    layouts: tuple[Layout, ...] = ()
    null_texts: tuple[str, ...] = ("", "-", "na", "n/a", "null", "none", "nan")
    match_group: str | None = None
    """Sources of one group report the same payments (docs/payments.md)."""
    match_days: int = 0
    """Within a group: how many days apart two reports of one payment may be dated."""
    usual_days: int = 90
    """A payment dated more days before it landed is held: somebody may have mistaken the year."""

    @property
    def id(self) -> str:
        return self.table

    @property
    def settlement_layout(self) -> Layout | None:
        """The one of its layouts whose rows are the lines of payouts, if it has one."""
        return next((each for each in self.layouts if "line_id" in each.columns), None)


LENDERS: dict[str, Lender] = {
    lender.code: lender
    for lender in (
        Lender("ARTHMATE", "Arthmate", PostingMode.AUTOMATED, "ARTH-LN-[0-9]+"),
        Lender("DMI", "DMI", PostingMode.AUTOMATED, "DMI-APP-[0-9]+"),
        Lender("GB", "GB", PostingMode.RECON, "GB-LN-[0-9]+"),
        Lender("IKF", "IKF", PostingMode.AUTOMATED, "IKF-LN-[0-9]+"),
        Lender("SHIVALIK", "Shivalik", PostingMode.AUTOMATED, "SHIV-LN-[0-9]+"),
        Lender("UGRO", "UGRO", PostingMode.RECON, "UGRO-LN-[0-9]+"),
        Lender("VIVRITI", "Vivriti", PostingMode.RECON, "VIV-LN-[0-9]+"),
    )
}

_SOURCES = (
    Source(
        "RAW_UGRO_RAZORPAY_API",
        "UGRO",
        Kind.RAZORPAY,
        "RAZORPAY",
        PAISE,
        "razorpay",
        References.ISSUED,
        loan_id_in=RAZORPAY_LOAN_ID_IN,
    ),
    Source(
        "RAW_VIVRITI_RAZORPAY_API",
        "VIVRITI",
        Kind.RAZORPAY,
        "RAZORPAY",
        PAISE,
        "razorpay",
        References.ISSUED,
        loan_id_in=RAZORPAY_LOAN_ID_IN,
        match_group="vivriti-gateway",
        match_days=2,
    ),
    Source(
        "RAW_UGRO_CASHFREE_API",
        "UGRO",
        Kind.CASHFREE,
        "CASHFREE",
        RUPEES,
        "cashfree",
        References.ISSUED,
        loan_id_in=CASHFREE_LOAN_ID_IN,
        loan_id_weakly_in=CASHFREE_LOAN_ID_WEAKLY_IN,
    ),
    Source(
        "RAW_GB_CASHFREE_API",
        "GB",
        Kind.CASHFREE,
        "CASHFREE",
        RUPEES,
        "cashfree",
        References.ISSUED,
        loan_id_in=CASHFREE_LOAN_ID_IN,
        loan_id_weakly_in=CASHFREE_LOAN_ID_WEAKLY_IN,
    ),
    Source(
        "RAW_ARTHMATE_NACH_CSV", "ARTHMATE", Kind.FILE, "NACH", RUPEES, layouts=(NACH, ACH_DEBIT)
    ),
    Source(
        "RAW_DMI_NACH_CSV",
        "DMI",
        Kind.FILE,
        "NACH",
        RUPEES,
        "nach-dmi",
        References.REPORTED,
        layouts=(NACH_WITH_REFERENCE, ACH_DEBIT),
        match_group="dmi",
        match_days=3,
    ),
    Source(
        "RAW_GB_NACH_CSV",
        "GB",
        Kind.FILE,
        "NACH",
        RUPEES,
        "nach-gb",
        References.REPORTED,
        layouts=(NACH_WITH_REFERENCE, ACH_DEBIT),
    ),
    Source(
        "RAW_IKF_NACH_CSV",
        "IKF",
        Kind.FILE,
        "NACH",
        RUPEES,
        "nach-ikf",
        References.REPORTED,
        layouts=(NACH_WITH_REFERENCE, ACH_DEBIT),
    ),
    Source(
        "RAW_SHIVALIK_NACH_CSV",
        "SHIVALIK",
        Kind.FILE,
        "NACH",
        RUPEES,
        "nach-shivalik",
        References.REPORTED,
        layouts=(NACH_WITH_REFERENCE, ACH_DEBIT),
        match_group="shivalik",
        match_days=3,
    ),
    Source(
        "RAW_UGRO_NACH_CSV",
        "UGRO",
        Kind.FILE,
        "NACH",
        RUPEES,
        "nach-ugro",
        References.REPORTED,
        layouts=(NACH_WITH_REFERENCE, ACH_DEBIT),
    ),
    Source(
        "RAW_DMI_PAYMENT_CSV",
        "DMI",
        Kind.FILE,
        "PAYMENT",
        RUPEES,
        "dmi",
        References.REPORTED,
        layouts=(DMI_COLLECTION_UPDATE,),
        match_group="dmi",
        match_days=3,
    ),
    Source(
        "RAW_SHIVALIK_PAYMENT_CSV",
        "SHIVALIK",
        Kind.FILE,
        "PAYMENT",
        RUPEES,
        layouts=(SHIVALIK_PAYMENTS,),
        match_group="shivalik",
        match_days=3,
    ),
    Source(
        "RAW_UGRO_PAYMENT_RAZORPAY",
        "UGRO",
        Kind.FILE,
        "RAZORPAY",
        RUPEES,
        "razorpay",
        References.ISSUED,
        layouts=(RAZORPAY_PAYMENTS_REPORT, RAZORPAY_SETTLEMENT_RECON),
    ),
    Source(
        "RAW_UGRO_PAYMENT_CASHFREE",
        "UGRO",
        Kind.FILE,
        "CASHFREE",
        RUPEES,
        "cashfree",
        References.ISSUED,
        layouts=(CASHFREE_SETTLEMENT_RECON,),
    ),
    Source(
        "RAW_GB_PAYMENT_CASHFREE",
        "GB",
        Kind.FILE,
        "CASHFREE",
        RUPEES,
        "cashfree",
        References.ISSUED,
        layouts=(CASHFREE_SETTLEMENT_RECON,),
    ),
    Source(
        "RAW_VIVRITI_PAYMENT_CSV",
        "VIVRITI",
        Kind.FILE,
        "PAYMENT",
        RUPEES,
        layouts=(VIVRITI_PAYMENTS,),
        match_group="vivriti-gateway",
        match_days=2,
    ),
)

SOURCES: dict[str, Source] = {source.table: source for source in _SOURCES}

ISSUED_NAMESPACES = tuple(
    sorted(
        {
            namespace
            for source in _SOURCES
            if source.references is References.ISSUED and source.ref_namespace
            for namespace in (source.ref_namespace, f"{source.ref_namespace}-order")
        }
    )
)
"""Of references of which there is one for each payment: the payments' ids, and the orders that a
gateway makes for one payment."""


def source_named(name: str) -> Source:
    """The source whose RAW table is `name`, in any case.

    Raises:
        UnknownSource: no such source; the message lists those that exist.
    """
    try:
        return SOURCES[name.strip().upper()]
    except KeyError:
        known = ", ".join(sorted(SOURCES))
        raise UnknownSource(f"unknown source {name!r}; the sources are: {known}") from None


def automated_lenders() -> tuple[str, ...]:
    """Codes of the lenders whose payments the pipeline posts by itself."""
    return tuple(
        code for code, lender in LENDERS.items() if lender.posting is PostingMode.AUTOMATED
    )
