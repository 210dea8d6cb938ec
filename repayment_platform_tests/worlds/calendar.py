"""The days of a world."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True)
class Calendar:
    """From the numbers of a world's days to dates and moments."""

    first: date

    def date(self, day: int) -> date:
        return self.first + timedelta(days=day)

    def moment(self, day: int, turn: int = 0, place: int = 0) -> datetime:
        """When what arrives on a day lands: after the day's business, in the order of its turns."""
        minutes = timedelta(minutes=60 * turn + place)
        return (
            datetime.combine(self.date(day), datetime.min.time(), UTC)
            + timedelta(hours=6)
            + minutes
        )
