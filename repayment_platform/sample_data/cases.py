"""Which stories each source tells and how often, and the teller that goes through them.

What belongs here: the mix of the sample data. What does not: the stories themselves, and where
they go: `Teller` works on any `Sink`, a folder as well as a stream without end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from repayment_platform.sample_data import (
    cashfree_reports,
    cashfree_stories,
    lender_files,
    nach,
    razorpay_reports,
    razorpay_stories,
)
from repayment_platform.sample_data.model import Sink
from repayment_platform.sample_data.nach import Story
from repayment_platform.sample_data.world import World

Mix = dict[Story, int]
"""Stories with their weights. The first is plain: it makes exactly one payment."""

NACH: Mix = {
    nach.paid: 80,
    nach.two_equal: 2,
    nach.bounced: 8,
    nach.pending_then_paid: 3,
    nach.rejected: 2,
    nach.loan_refuses: 1,
    nach.loan_unknown: 1,
    nach.no_loan: 1,
    nach.still_pending: 1,
    nach.paid_then_taken_back: 1,
}
NACH_WITHOUT_REFERENCE: Mix = {
    nach.paid: 82,
    nach.two_equal_without_reference: 2,
    nach.bounced: 8,
    nach.pending_then_paid_without_reference: 3,
    nach.rejected: 2,
    nach.loan_refuses: 1,
    nach.loan_unknown: 1,
    nach.no_loan: 1,
    nach.still_pending: 1,
}
LENDER_FILE: Mix = {
    lender_files.paid: 60,
    lender_files.also_by_nach: 22,
    lender_files.two_equal: 2,
    lender_files.bounced_then_paid: 5,
    lender_files.bounced: 5,
    lender_files.pending: 2,
    lender_files.loan_refuses: 1,
    lender_files.loan_unknown: 1,
    lender_files.no_loan: 1,
}
LENDER_FILE_WITHOUT_REFERENCE: Mix = {
    (lender_files.two_equal_without_reference if story is lender_files.two_equal else story): weight
    for story, weight in LENDER_FILE.items()
}
RAZORPAY: Mix = {
    razorpay_stories.captured: 45,
    razorpay_stories.seen_from_three_sides: 15,
    razorpay_stories.captured_before_its_failure_arrives: 5,
    razorpay_stories.failed: 5,
    razorpay_stories.by_virtual_account: 5,
    razorpay_stories.partly_by_link: 4,
    razorpay_stories.mandate_registered: 2,
    razorpay_stories.refunded: 1,
    razorpay_stories.two_equal: 2,
    razorpay_stories.no_loan: 2,
}
CASHFREE: Mix = {
    cashfree_stories.paid: 40,
    cashfree_stories.also_settled: 13,
    cashfree_stories.refunded: 1,
    cashfree_stories.by_link_and_settled: 2,
    cashfree_stories.delivered_twice_in_two_versions: 8,
    cashfree_stories.failed_then_paid: 6,
    cashfree_stories.dropped: 4,
    cashfree_stories.partly_by_link: 5,
    cashfree_stories.charged: 10,
    cashfree_stories.charge_failed: 4,
    cashfree_stories.mandate_registered: 2,
    cashfree_stories.two_equal: 2,
    cashfree_stories.no_loan: 2,
    cashfree_stories.also_by_nach: 2,
}
CASHFREE_REPORT: Mix = {
    cashfree_reports.only_settled: 80,
    cashfree_reports.only_settled_by_link: 10,
    cashfree_reports.charged_back: 4,
    cashfree_reports.settled_without_loan: 6,
}
MIXES: dict[str, tuple[int, Mix]] = {
    "RAW_ARTHMATE_NACH_CSV": (8, NACH_WITHOUT_REFERENCE),
    "RAW_DMI_NACH_CSV": (5, NACH),
    "RAW_DMI_PAYMENT_CSV": (5, LENDER_FILE),
    "RAW_IKF_NACH_CSV": (6, NACH),
    "RAW_SHIVALIK_NACH_CSV": (4, NACH),
    "RAW_SHIVALIK_PAYMENT_CSV": (4, LENDER_FILE_WITHOUT_REFERENCE),
    "RAW_GB_NACH_CSV": (2, NACH),
    "RAW_GB_CASHFREE_API": (3, CASHFREE),
    "RAW_UGRO_NACH_CSV": (2, NACH),
    "RAW_UGRO_RAZORPAY_API": (
        3,
        RAZORPAY | {razorpay_stories.also_in_report: 10, razorpay_stories.also_by_nach: 2},
    ),
    "RAW_UGRO_CASHFREE_API": (2, CASHFREE),
    "RAW_GB_PAYMENT_CASHFREE": (1, CASHFREE_REPORT),
    "RAW_UGRO_PAYMENT_CASHFREE": (1, CASHFREE_REPORT),
    "RAW_UGRO_PAYMENT_RAZORPAY": (
        1,
        {
            razorpay_reports.only_reported: 70,
            razorpay_reports.only_settled: 20,
            razorpay_reports.reported_as_failed: 6,
            razorpay_reports.reported_without_loan: 4,
        },
    ),
    "RAW_VIVRITI_RAZORPAY_API": (2, RAZORPAY | {razorpay_stories.also_in_lender_file: 15}),
    "RAW_VIVRITI_PAYMENT_CSV": (
        1,
        {
            lender_files.paid: 90,
            lender_files.two_equal_without_reference: 4,
            lender_files.paid_back: 6,
        },
    ),
}
"""Of fifty stories, how many each source tells; and which."""
LIVE_MIXES = {
    table: (share, {s: weight for s, weight in mix.items() if s is not nach.paid_then_taken_back})
    for table, (share, mix) in MIXES.items()
}
"""The same for a platform that runs meanwhile: money that is taken back later may have been
posted by then or not, so there is no truth about it."""


@dataclass(frozen=True)
class _Source:
    table: str
    stories: tuple[Story, ...]
    cumulative: tuple[int, ...]


class Teller:
    """Tells one story after another.

    Each source speaks once before the shares of `MIXES` hold, and tells each of its stories
    once before it draws them by weight; so a small sample is as varied as a large one.
    """

    def __init__(
        self, world: World, sink: Sink, mixes: Mapping[str, tuple[int, Mix]] = MIXES
    ) -> None:
        self._world = world
        self._sink = sink
        self._sources = {
            table: _Source(table, tuple(mix), tuple(accumulate(mix.values())))
            for table, (_, mix) in mixes.items()
        }
        self._shares = [table for table, (share, _) in mixes.items() for _ in range(share)]
        self._turns = list(mixes)[::-1]
        self._told = dict.fromkeys(mixes, 0)

    def tell(self, *, plain: bool = False) -> None:
        """The next story; `plain` asks for one that makes a single payment."""
        if not self._turns:
            self._turns = self._world.shuffled(self._shares)
        source = self._sources[self._turns.pop()]
        told = self._told[source.table]
        self._told[source.table] += 1
        if plain:
            story = source.stories[0]
        elif told < len(source.stories):
            story = source.stories[told]
        else:
            story = self._world.weighted(source.stories, source.cumulative)
        story(self._world, self._sink, source.table)
