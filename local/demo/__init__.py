"""The demo: the product deployed on this machine, triggered for real, and everything that follows shown.

`python -m local.demo` runs it. Every line and number was observed at the simulated CommServe or received by a subscriber
of the topic, and the exit status says whether everything happened as it should.
"""
