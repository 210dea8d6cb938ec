"""How records reach RAW: files, webhook deliveries, and what is set aside on the way.

What belongs here: storing what arrived, the processing log, the quarantine. What does not:
understanding it (`sources`), deciding what is posted (`posting`).
"""
