"""The demo: the product deployed on this machine, triggered for real, and what then happens shown as it happens.

`python -m local.demo` runs it. It asserts nothing that it did not see: every number and id in its table was observed at
the simulated CommServe or received by a subscriber of the topic, and its exit status tells whether all of it happened.
"""
