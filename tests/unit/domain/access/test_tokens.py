from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import (
    TokenRecord,
    TokenState,
    digest_of,
    kid_of,
    make_token,
)
from chimera_s1.domain.errors import InvalidValueError

KIDS = st.from_regex(r"[a-z0-9]{4,16}", fullmatch=True)
SECRETS = st.binary(min_size=32, max_size=32)
RECORD = TokenRecord("abcd", "0" * 64, "bot", (Scope.READ,), created_at=100)


@given(kid=KIDS, secret=SECRETS)
def test_a_token_text_contains_its_kid_and_secret(kid: str, secret: bytes) -> None:
    """`chs1_<kid>_<43 characters>`; the record identifies the text but does not contain it."""
    text, record = make_token(kid, secret, actor="bot", scopes=[Scope.READ], created_at=1)

    head, tail = text[: -(43 + 1)], text[-43:]
    assert head == f"chs1_{kid}"
    assert urlsafe_b64decode(tail + "=") == secret
    assert kid_of(text) == record.kid == kid
    assert digest_of(text) == record.sha256
    assert tail not in repr(record)


@given(text=st.text(max_size=80))
def test_any_text_is_a_token_or_has_no_kid(text: str) -> None:
    kid = kid_of(text)

    assert kid is None or text.startswith(f"chs1_{kid}_")


@given(kid=KIDS, secret=SECRETS, cut=st.integers(1, 60))
def test_a_truncated_token_has_no_kid(kid: str, secret: bytes, cut: int) -> None:
    text, _ = make_token(kid, secret, actor="bot", scopes=Scope, created_at=1)

    assert kid_of(text[:-cut]) is None
    assert kid_of(f"{text}\n") is None


def test_scopes_are_stored_once_and_in_order() -> None:
    asked = iter([Scope.ORDERS_TRADE, Scope.READ, Scope.ORDERS_TRADE])

    _, record = make_token("abcd", b"x" * 32, actor="bot", scopes=asked, created_at=1)

    assert record.scopes == (Scope.READ, Scope.ORDERS_TRADE)


@pytest.mark.parametrize(
    ("not_after", "revoked_at", "now_ms", "state"),
    [
        (None, None, 10**15, TokenState.VALID),
        (200, None, 200, TokenState.VALID),
        (200, None, 201, TokenState.EXPIRED),
        (None, 200, 199, TokenState.VALID),
        (None, 200, 200, TokenState.REVOKED),
        (200, 150, 300, TokenState.REVOKED),
    ],
)
def test_a_token_is_valid_until_it_expires_or_is_revoked(
    not_after: int | None, revoked_at: int | None, now_ms: int, state: TokenState
) -> None:
    record = TokenRecord("abcd", "0" * 64, "bot", (Scope.READ,), 100, not_after, revoked_at)

    assert record.state_at(now_ms) is state


@pytest.mark.parametrize(
    ("kid", "digest", "actor", "scopes", "message"),
    [
        ("A-KID", "0" * 64, "bot", (Scope.READ,), "a kid has 4 to 16"),
        ("abcd", "0" * 63, "bot", (Scope.READ,), "sha256 of abcd is not 64 hex digits"),
        ("abcd", "0" * 64, "", (Scope.READ,), "'' is not an actor"),
        ("abcd", "0" * 64, "a bot", (Scope.READ,), "'a bot' is not an actor"),
        ("abcd", "0" * 64, "bot\n", (Scope.READ,), "is not an actor"),
        ("abcd", "0" * 64, "bot", (), "no scope"),
    ],
)
def test_an_invalid_token_record_is_refused(
    kid: str, digest: str, actor: str, scopes: tuple[Scope, ...], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        TokenRecord(kid, digest, actor, scopes, created_at=1)


def test_only_the_read_scope_works_without_tokens() -> None:
    assert [scope for scope in Scope if not scope.requires_tokens] == [Scope.READ]
