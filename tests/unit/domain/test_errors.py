from chimera_s1.domain import errors
from chimera_s1.domain.errors import ChimeraError, InvalidValueError


def test_every_error_has_its_own_dotted_code() -> None:
    """A code identifies one cause."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ChimeraError)
    ]

    assert len(kinds) == len({kind.code for kind in kinds})
    assert all(kind.code == kind.code.lower() and " " not in kind.code for kind in kinds)


def test_an_invalid_value_is_a_value_error_too() -> None:
    """Parsing libraries turn a `ValueError` into their own report."""
    assert issubclass(InvalidValueError, ValueError)
