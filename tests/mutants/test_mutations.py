"""Every mutation is of the code as it is: one whose place has been edited away would be reported only by the long run."""

import pytest

from local.tools import ROOT
from tests.mutants.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text()
    assert mutation.applied_to(text) != text
