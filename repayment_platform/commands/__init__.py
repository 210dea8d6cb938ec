"""What the commands of `./run` do, one module each.

What belongs here: reading options, calling the part that does the work, showing the result.
What does not: the work itself. Anything slow to import is imported inside the function.
"""
