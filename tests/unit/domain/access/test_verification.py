from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.access.verification import (
    AccessDenied,
    AccessGranted,
    Actor,
    DenialReason,
    verify_token,
)

TOKEN, RECORD = make_token(
    "abcd", b"x" * 32, actor="bot", scopes=[Scope.READ], created_at=0, not_after=1_000
)
REVOKED = structs.replace(RECORD, revoked_at=500)


def test_a_valid_token_grants_its_actor_and_scopes() -> None:
    result = verify_token(TOKEN, {"abcd": RECORD}.get, 1_000)

    assert result == AccessGranted(Actor("bot", "abcd"), frozenset({Scope.READ}))


def test_each_kind_of_invalid_token_has_its_denial_reason() -> None:
    known = {"abcd": RECORD}.get

    assert verify_token(None, known, 0) == AccessDenied(DenialReason.MISSING)
    assert verify_token("", known, 0) == AccessDenied(DenialReason.MALFORMED)
    assert verify_token(TOKEN, lambda _: None, 0) == AccessDenied(DenialReason.UNKNOWN)
    assert verify_token(f"{TOKEN[:-1]}_", known, 0) == AccessDenied(DenialReason.MISMATCH, "abcd")
    assert verify_token(TOKEN, known, 1_001) == AccessDenied(DenialReason.EXPIRED, "abcd")
    assert verify_token(TOKEN, {"abcd": REVOKED}.get, 600) == AccessDenied(
        DenialReason.REVOKED, "abcd"
    )


def test_a_wrong_secret_does_not_reveal_the_token_state() -> None:
    """The state of a token is revealed only with its secret."""
    wrong = f"{TOKEN[:-1]}_"

    assert verify_token(wrong, {"abcd": REVOKED}.get, 2_000) == AccessDenied(
        DenialReason.MISMATCH, "abcd"
    )


@given(secret=st.binary(min_size=32, max_size=32).filter(lambda each: each != b"x" * 32))
def test_another_secret_is_a_mismatch(secret: bytes) -> None:
    other, _ = make_token("abcd", secret, actor="bot", scopes=[Scope.READ], created_at=0)

    assert verify_token(other, {"abcd": RECORD}.get, 0) == AccessDenied(
        DenialReason.MISMATCH, "abcd"
    )


@given(text=st.text(max_size=80))
def test_any_text_gets_a_denial_reason(text: str) -> None:
    assert verify_token(text, {"abcd": RECORD}.get, 0) in {
        AccessDenied(DenialReason.MALFORMED),
        AccessDenied(DenialReason.UNKNOWN),
        AccessDenied(DenialReason.MISMATCH, "abcd"),
    }
