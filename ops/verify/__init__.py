"""`python -m ops.verify STACK`: prove on AWS what no emulator can, with a stack that is made for it.

docs/verify-on-aws.md says how that stack is made, and what only a person can see.
"""
