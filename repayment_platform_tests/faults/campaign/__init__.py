"""The fault campaign: random plans of payments and trouble, played on real parts, then judged.

What belongs here: plans (`plan`, `trouble`), the real processes they are played on (`place`,
`stand_in`, `processes`, `worker`), the play (`play`), what happened (`history`), the rules that
must have held (`rules`), and what is shown of it (`timeline`, `matrix`). Started by
`./run faults`. What does not: the switches of the sandbox, and the engine.

A plan is a pure function of its seed. What comes of it is not: real processes race each other.
"""
