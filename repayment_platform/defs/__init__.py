"""What Dagster runs: assets, checks, jobs, schedules and sensors, each thin.

What belongs here: wiring, and turning results into metadata. What does not: any rule about
payments. Only this package and `definitions` import Dagster. A module with a `@definitions`
function loads nothing but that function, so `resources` keeps to itself.
"""
