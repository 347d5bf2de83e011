"""The playground: a stack that is kept up on this machine, to try the commands, events and failures on.

`python -m local.playground` runs it until Ctrl-C. `python -m local.playground event DATABASE` lets RDS report a database.
"""
