"""What a proof looked at and found wrong.

What belongs here: that plain data. What does not: the proofs.
"""

from dataclasses import dataclass, field

FINDINGS_SHOWN = 50
"""So many findings are looked for and shown; more of a kind tell nothing new."""


@dataclass
class Proof:
    """What was looked at and what was found wrong; no findings means proven."""

    checked: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.findings
