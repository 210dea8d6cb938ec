"""The registry of kinds: what a person can be asked, what can be decided about each, and by whom.

What belongs here: plain data. What does not: when the facts call for a kind (`called.sql`), what a
decision does (`decisions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from repayment_platform.fineract.errors import (
    BEFORE_DISBURSEMENT,
    BEFORE_LAST,
    LOAN_STATE,
    LOAN_UNKNOWN,
    NOT_ACTIVE,
)


class Decision(StrEnum):
    """How an exception is closed."""

    RELEASE = "release"
    """Post it, with the facts it has now."""
    POST_REST = "post_rest"
    """Post what is left of it after what was refunded so far."""
    POST_ON = "post_on"
    """Post it on a later day than its own, which the person names."""
    NAME_LOAN = "name_loan"
    """It is of the loan that the person names."""
    SAME_PAYMENT = "same_payment"
    """Another payment reports the same money: never post this one."""
    NOT_A_REPAYMENT = "not_a_repayment"
    LEAVE = "leave"
    """It may stay as it is."""
    UNDONE = "undone"
    """The repayment was undone in Fineract, as was asked; a look-up saw it."""
    REPOST = "repost"
    """Its payment is posted again, so that it is a question of the next posting."""
    GONE = "gone"
    """The facts call for it no more; nobody's word."""


LETS_POST = (Decision.RELEASE, Decision.POST_REST)
"""Decisions on a held payment after which it is posted."""
HOLDS_ONLY = (*LETS_POST, Decision.SAME_PAYMENT, Decision.NOT_A_REPAYMENT)
"""Decisions on what is not posted yet."""
RULINGS = (
    *LETS_POST,
    Decision.POST_ON,
    Decision.NAME_LOAN,
    Decision.SAME_PAYMENT,
    Decision.NOT_A_REPAYMENT,
    Decision.LEAVE,
    Decision.UNDONE,
)
"""Decisions after which nothing is asked again while the facts are the same."""


class Right(StrEnum):
    """What a person must be to take a decision."""

    OPERATOR = "operator"
    APPROVER = "approver"
    """Anything that lets money be posted that was given back, or posted again."""


@dataclass(frozen=True)
class Choice:
    """A decision that can be taken on a kind, in the words of the kind, and what follows."""

    decision: Decision
    words: str
    follows: str
    right: Right = Right.OPERATOR


_RUN = "the next run posts it, as long as loan, amount and day stay"
_NEVER = "it is never posted; it is asked anew when its facts change"
_SAME = Choice(
    Decision.SAME_PAYMENT, "The same money as another payment: never post this one", _NEVER
)
_NONE = Choice(Decision.NOT_A_REPAYMENT, "Not a repayment: never post it", _NEVER)
_STAYS = Choice(Decision.LEAVE, "It may stay as it is", "it is asked anew when its facts change")


def _unposted(release: str, right: Right = Right.OPERATOR) -> tuple[Choice, ...]:
    return (Choice(Decision.RELEASE, release, _RUN, right), _SAME, _NONE)


_OWN = _unposted("A payment of its own: post it")


@dataclass(frozen=True)
class Kind:
    """One question."""

    name: str
    when: str
    """When it is asked, in words."""
    choices: tuple[Choice, ...]
    holds: bool = True
    """The payment is not posted while it is open. Of posted payments nothing is held."""
    gone: str | None = None
    """Why it closes when the facts call for it no more; None where whoever states it opens it and
    only a person closes it."""
    by: str = "CORE"
    """Who sees that it is gone."""
    overrules: bool = False
    """Its release is the later word on a payment that was ruled out before."""

    def choice(self, decision: Decision) -> Choice | None:
        """The choice of that decision, if the kind has it."""
        return next((choice for choice in self.choices if choice.decision is decision), None)


DAY_REFUSED = (BEFORE_DISBURSEMENT, BEFORE_LAST)
"""Fineract's codes of refusals of the payment's day."""
NO_RETRY_MENDS = (LOAN_UNKNOWN, LOAN_STATE, *DAY_REFUSED, NOT_ACTIVE)
"""Fineract's codes of refusals that are a person's; `*` stands for any text."""
UNDONE = "reversed_in_ledger"
"""What is asked of a payment that was posted and is undone in Fineract."""
ASKED_FIRST = "asked_first"
"""A run asks Fineract about the payment; nothing is to be decided before."""
GIVEN_BACK = ("refunded", "late_return")
"""Kinds of money that was given back before it was posted, as far as Fineract says so too."""
AFTER_POSTING = (
    "refunded_after_posting",
    "returned_after_posting",
    "withdrawn_after_posting",
    "changed_after_posting",
)
"""Kinds that name a repayment to undo in Fineract; the look-up that sees it undone closes them."""

_BEFORE = (
    Kind(
        "possible_duplicate",
        "a report may be of the same money as a payment that there is",
        _OWN,
    ),
    Kind(
        "cleared_again",
        "a report would be of a payment whose money was given back before: it may have been paid"
        " again, or it is the money that was given back",
        _unposted("It was paid again: post it", Right.APPROVER),
    ),
    Kind(
        "another_loan",
        "a report that seems to be of the payment names another loan",
        _unposted("Its loan is the right one: post it"),
    ),
    Kind("by_hand", "a person has held it", _unposted("It is in order: post it"), overrules=True),
    Kind(
        "conflicting_reports",
        "its reports cannot all be of one payment; of a posted one it holds nothing",
        (*_unposted("As it is stated now: post it"), _STAYS),
        gone="its reports agree",
        overrules=True,
    ),
    Kind(
        ASKED_FIRST,
        "no run sends it, because its money was given back, its report was withdrawn or a person"
        " ruled it out; so none finds out whether it stands in Fineract, posted before this"
        " database was restored. The next run asks",
        (),
        gone="Fineract has answered, or a run sends it",
    ),
    Kind(
        "refunded",
        "it was refunded, in part or whole, before it was posted",
        (
            Choice(
                Decision.POST_REST,
                "Post what is left of it",
                f"{_RUN}; should more be refunded, it is asked anew",
                Right.APPROVER,
            ),
            *_unposted("Post all of it although it was refunded", Right.APPROVER),
        ),
        gone="nothing is refunded any more: the refund failed, or its report was corrected",
    ),
    Kind(
        "late_return",
        "it was returned or bounced before it was posted",
        _unposted("Post it although it was returned", Right.APPROVER),
        gone="it is not returned any more",
    ),
    Kind(
        "disputed",
        "the payer disputes it, and the dispute is open; of a posted one it holds nothing",
        (*_unposted("Post it although it is disputed"), _STAYS),
        gone="the dispute is over",
    ),
    Kind(
        "loan_corrected",
        "a person corrected its loan, and no run of dbt has taken that up yet",
        (_NONE,),
        gone="a run of dbt has taken it up",
    ),
    Kind(
        "ruled_out_before",
        "a person ruled it out, and its facts are others now",
        _unposted("As it is now it is a payment of its own: post it"),
        gone="it is again as it was ruled out",
        overrules=True,
    ),
    Kind(
        "other_is_gone",
        "a person ruled it the same as a payment that is another now",
        _unposted("As the other is now, this is a payment of its own: post it"),
        gone="the other is there again",
        overrules=True,
    ),
    Kind(
        "over_limit",
        "its amount is over its lender's limit for one payment",
        _unposted("Its amount is right: post it"),
        gone="it is within the limit",
    ),
    Kind(
        "posted_elsewhere",
        "another payment with its reference is posted",
        (_SAME, _NONE),
        gone="its reference is not posted elsewhere any more",
    ),
    Kind(
        "implausible_day",
        "its day cannot be right",
        _unposted("Its day is right: post it"),
        gone="it was corrected and is plausible",
    ),
    Kind(
        "implausible_amount",
        "its amount is 50 times what is usual or more",
        _unposted("Its amount is right: post it"),
        gone="it was corrected and is plausible",
    ),
    Kind(
        "ledger_differs",
        "a look-up found another repayment under its external id",
        _unposted("Send it again: Fineract has been put right"),
        gone="it is settled otherwise",
    ),
    Kind(
        UNDONE,
        "it was posted, and is undone or changed in Fineract; of money that was given back it is"
        " asked only where something of it is left or stands, and holds nothing",
        (
            Choice(
                Decision.REPOST,
                "Post it again: on the payment's page, or with ./run repost",
                "Fineract is asked first, then the next run posts it under another external id",
                Right.APPROVER,
            ),
            _SAME,
            Choice(
                Decision.NOT_A_REPAYMENT,
                "It is right that it is undone: never post it again",
                _NEVER,
            ),
            Choice(Decision.LEAVE, "What stands in Fineract is right as it is", _STAYS.follows),
        ),
        gone="it is posted again, or its money was given back",
    ),
)


def _of_posted(name: str, when: str) -> Kind:
    done = "It was undone in Fineract, or the repayment stays"
    leave = Choice(Decision.LEAVE, done, _STAYS.follows)
    return Kind(name, when, (leave,), holds=False, gone="it is again as it was posted")


def _in_ledger(name: str, when: str) -> Kind:
    gone = "the ledger is not so any more"
    return Kind(name, when, (_STAYS,), holds=False, gone=gone, by="look-up")


def _no_payment(name: str, when: str) -> Kind:
    leave = Choice(Decision.LEAVE, "It was dealt with elsewhere", _STAYS.follows)
    return Kind(name, when, (leave,), holds=False, gone="its payment was found")


_ON_THE_WAY = (
    Kind(
        "refused",
        "Fineract refused it, and no retry mends that: its loan is unknown or not active, the day"
        " is before the disbursement or the loan's last transaction, or the client is not active",
        (
            Choice(
                Decision.LEAVE,
                "It is known, and is put right in Fineract",
                "a run asks about the loan and sends it once Fineract would take it;"
                " ./run send-again does so at once",
            ),
            Choice(
                Decision.POST_ON,
                "Post it on a later day, where Fineract refused its own",
                "the next run posts it on the day that is named; its own day stays in CORE",
                Right.APPROVER,
            ),
        ),
        holds=False,
        gone="Fineract refuses it no more",
    ),
    Kind(
        "awaiting_approval",
        "Fineract put its repayment into the maker-checker queue",
        (
            Choice(
                Decision.LEAVE,
                "It is known; when it is rejected there, say so with ./run rejected",
                "each run looks it up",
            ),
        ),
        holds=False,
        gone="it was approved or rejected",
    ),
    Kind(
        "in_doubt",
        "what came of its request has not been known for two hours",
        (Choice(Decision.LEAVE, "It is known", "each run looks it up"),),
        holds=False,
        gone="a look-up has settled it",
    ),
)
_AFTER = (
    _of_posted("refunded_after_posting", "a posted payment was refunded, or its dispute was lost"),
    _of_posted("returned_after_posting", "a posted payment was returned or bounced"),
    _of_posted("withdrawn_after_posting", "the report of a posted payment was withdrawn"),
    _of_posted("changed_after_posting", "loan, amount or day of a posted payment are others now"),
    _in_ledger("ledger_missing", "a posted payment is not in the ledger"),
    _in_ledger("ledger_amount", "a posted payment has another amount in the ledger"),
    _in_ledger("ledger_date", "a posted payment has another day in the ledger"),
    _in_ledger("ledger_foreign", "the ledger has a twin of a posted payment that is not ours"),
    _no_payment(
        "return_without_payment", "money was given back of a payment that is not to be found"
    ),
    Kind(
        "loan_unknown",
        "money came, and no report names a loan, or one names several",
        (
            Choice(
                Decision.NAME_LOAN,
                "It is of the loan that is named here",
                "the next run of dbt gives it that loan, and then it is posted",
            ),
            Choice(Decision.LEAVE, "It was dealt with elsewhere", _STAYS.follows),
        ),
        holds=False,
        gone="its loan is named",
    ),
    _no_payment("unreadable_payment", "a success that cannot be read"),
    _no_payment("no_repayment", "a success in another currency, or in an event that is not known"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (*_BEFORE, *_ON_THE_WAY, *_AFTER)}


def choices_of(kind: str, *, holds: bool) -> tuple[Choice, ...]:
    """What can be decided on a kind, of which the registry may know nothing: SQL of operators may
    hold a payment for reasons of its own. What holds a payment does not just stay as it is: either
    it is posted or it is not."""
    choices = KINDS[kind].choices if kind in KINDS else (*_OWN, _STAYS)
    return tuple(
        choice
        for choice in choices
        if (choice.decision is not Decision.LEAVE if holds else choice.decision not in HOLDS_ONLY)
    )
