"""The demo: the product deployed on this machine, triggered for real, and everything that follows shown as it happens.

`python -m local.demo` runs it. Every number and ID in its table was observed at the simulated CommServe or received by a
subscriber of the topic, and its exit status says whether everything happened as it should.
"""
