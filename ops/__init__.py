"""Commands for a stack in an account: what a deployment asks, and what is done with a deployed stack. They share nothing with `local/`."""
