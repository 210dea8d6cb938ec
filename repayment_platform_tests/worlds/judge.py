"""The judge: what stands against what moved.

What belongs here: the six violations, as docs/worlds.md tells them. What does not: any rule of the
platform; it knows which movement each row reports because the story wrote it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repayment_platform_tests.worlds.ledger import Posted
from repayment_platform_tests.worlds.standing import Standing
from repayment_platform_tests.worlds.truth import Ask, Movement, Report, Says, Story
from repayment_platform_tests.worlds.world import World

KINDS = ("doubled", "lost", "wrong", "silent", "false alarm", "asked again", "stuck")
Found = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Violation:
    """What is wrong with a story."""

    kind: str
    story: Story
    step: int
    what: str


def judge(world: World, standing: Standing, step: int, *, last: bool) -> Iterator[Violation]:
    """What is wrong in a world after the run of a step; `last` when all has been decided."""
    for story in world.stories:
        found = [
            *_story(world, story, standing, step),
            *(_stuck(world, story, standing) if last else ()),
        ]
        for kind, what in found:
            yield Violation(kind, story, step, what)


def _story(world: World, story: Story, standing: Standing, step: int) -> Found:
    for movement in story.movements:
        reports = [r for r in story.reports if r.movement is movement and r.landed]
        if reports:
            yield from _money(world, movement, reports, standing)
    keys = {standing.key_of.get(report.raw_id or 0) for report in story.reports}
    for key in sorted(filter(None, keys)):
        if standing.live.get(key) and standing.movement_of(key) not in story.movements:
            yield "doubled", f"posted, and never moved: {key}"
    yield from _questions(story, standing, step)


def _money(
    world: World, movement: Movement, reports: Sequence[Report], standing: Standing
) -> Found:
    """Of a movement that something reports."""
    live = standing.live_of(movement)
    asked = standing.about(movement)
    told = f"{movement.amount} of day {movement.day} on {movement.loan}"
    left = movement.left()
    stands = sum(posted.amount for _, posted in live)
    is_too_much = len(live) > (left > 0) or (left < movement.amount and stands > left)
    if is_too_much and not asked:
        yield "doubled", f"{told}: {left} are left of it, {stands} in {len(live)} repayments stand"
    paid = [r for r in reports if r.says is Says.PAID and not r.withdrawn]
    story = reports[0].story
    can_tell = not story.is_shuffled or all(report.landed for report in story.reports)
    is_told = asked or any(report.refused for report in paid)
    if paid and left > 0 and not live and not is_told and can_tell:
        yield "lost", f"{told}: neither posted nor asked about"
    knowable = movement.plain_to_see or any(_states_truth(movement, report) for report in paid)
    for _, posted in live if knowable and not asked and not is_too_much else ():
        if not is_right(world, movement, posted):
            day = (posted.date - world.calendar.first).days
            yield "wrong", f"{told}: in the ledger {posted.amount} of day {day} on {posted.loan}"


def _states_truth(movement: Movement, report: Report) -> bool:
    stated = movement.days & {report.day, report.presented}
    return (report.loan, report.amount) == (movement.loan, movement.amount) and bool(stated)


def is_right(world: World, movement: Movement, posted: Posted) -> bool:
    """Whether a repayment is what moved, and was not given back."""
    days = {world.calendar.date(day) for day in movement.days}
    return (posted.loan, posted.amount) == (movement.loan, movement.left()) and posted.date in days


def _questions(story: Story, standing: Standing, step: int) -> Found:
    for ask in story.asks:
        if ask.required and ask.due(step) and not ask.was_asked:
            ask.was_asked = _is_asked(ask, standing)
            if not ask.was_asked:
                yield "silent", "; ".join(report.told() for report in ask.because)
    if story.may_be_asked(step):
        return
    for key in {standing.key_of.get(report.raw_id or 0) for report in story.reports}:
        for question in standing.asked_about(key or ""):
            yield "false alarm", f"{question.where} {question.kind}: {question.words}"


def _is_asked(ask: Ask, standing: Standing) -> bool:
    is_told_by_loader = any(report.refused for report in ask.because)
    return is_told_by_loader or any(standing.about(movement) for movement in ask.movements)


def _stuck(world: World, story: Story, standing: Standing) -> Found:
    """What is left when everything has been decided rightly."""
    for key in {standing.key_of.get(report.raw_id or 0) for report in story.reports}:
        for question in standing.asked_about(key or ""):
            yield "stuck", f"open: {question.where} {question.kind}: {question.words}"
    kept = [r for r in story.reports if r.raw_id is not None]  # what the loader refused is told
    reported = {id(r.movement) for r in kept if r.says is Says.PAID}
    for movement in (each for each in story.movements if id(each) in reported):
        live = [posted for _, posted in standing.live_of(movement)]
        left = movement.left()
        is_as_moved = len(live) == 1 and is_right(world, movement, live[0])
        if (left == 0 and live) or (left > 0 and not is_as_moved):
            stands = ", ".join(f"{p.amount} of {p.date} on {p.loan}" for p in live) or "nothing"
            day = world.calendar.date(movement.day)
            yield "stuck", f"{left} of {day} on {movement.loan} moved; in the ledger: {stands}"
