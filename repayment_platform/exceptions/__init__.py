"""What a person must judge: its kinds, what the facts call for, the comparison, the decisions.

What belongs here: `CORE_EXCEPTION` and all that reads or writes it for a reason. What does not:
posting (`posting` imports this, never the other way round), screens.
"""
