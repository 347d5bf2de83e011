"""The states that may follow each other: what is closed stays closed, unless it went wrong."""

from typing import get_args

from rds_snap_backup.ledger.states import CLOSED, REOPENABLE, TRANSITIONS, Closed, Open


def test_every_state_is_known() -> None:
    states = {*get_args(Closed.__value__), *get_args(Open.__value__)}
    assert TRANSITIONS.keys() - {""} == states
    assert set().union(*TRANSITIONS.values()) == states
    assert set(get_args(Closed.__value__)) == CLOSED


def test_only_what_went_wrong_is_opened_again() -> None:
    assert {state for state in CLOSED if TRANSITIONS[state]} == REOPENABLE
    assert all(not TRANSITIONS[state] & CLOSED for state in REOPENABLE)
