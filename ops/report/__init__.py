"""The audit of a deployed stack as a person reads it: on a terminal, or as JSON, CSV or one HTML page for auditors.

The audit itself is the stack's own Audit function; this invokes it and decides nothing.
"""
