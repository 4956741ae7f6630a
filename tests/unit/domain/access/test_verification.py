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


def test_a_valid_token_is_its_actor_with_its_scopes() -> None:
    verdict = verify_token(TOKEN, {"abcd": RECORD}.get, 1_000)

    assert verdict == AccessGranted(Actor("bot", "abcd"), frozenset({Scope.READ}))


def test_each_way_to_fail_has_its_reason() -> None:
    known = {"abcd": RECORD}.get

    assert verify_token(None, known, 0) == AccessDenied(DenialReason.MISSING)
    assert verify_token("", known, 0) == AccessDenied(DenialReason.MALFORMED)
    assert verify_token(TOKEN, lambda _: None, 0) == AccessDenied(DenialReason.UNKNOWN)
    assert verify_token(f"{TOKEN[:-1]}_", known, 0) == AccessDenied(DenialReason.MISMATCH, "abcd")
    assert verify_token(TOKEN, known, 1_001) == AccessDenied(DenialReason.EXPIRED, "abcd")
    assert verify_token(TOKEN, {"abcd": REVOKED}.get, 600) == AccessDenied(
        DenialReason.REVOKED, "abcd"
    )


def test_a_wrong_secret_learns_nothing_of_the_token_it_names() -> None:
    """Whether it is expired or revoked is told only to who has the token."""
    wrong = f"{TOKEN[:-1]}_"

    assert verify_token(wrong, {"abcd": REVOKED}.get, 2_000) == AccessDenied(
        DenialReason.MISMATCH, "abcd"
    )


@given(secret=st.binary(min_size=32, max_size=32).filter(lambda each: each != b"x" * 32))
def test_no_other_secret_opens(secret: bytes) -> None:
    other, _ = make_token("abcd", secret, actor="bot", scopes=[Scope.READ], created_at=0)

    assert verify_token(other, {"abcd": RECORD}.get, 0) == AccessDenied(
        DenialReason.MISMATCH, "abcd"
    )


@given(text=st.text(max_size=80))
def test_whatever_is_sent_is_judged(text: str) -> None:
    assert verify_token(text, {"abcd": RECORD}.get, 0) in {
        AccessDenied(DenialReason.MALFORMED),
        AccessDenied(DenialReason.UNKNOWN),
        AccessDenied(DenialReason.MISMATCH, "abcd"),
    }
