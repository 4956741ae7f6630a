"""Is this text a token, whose is it, and does it open anything now?"""

import hmac
from collections.abc import Callable
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, TokenState, digest_of, kid_of

_UNMATCHED_DIGEST = "0" * 64
"""Compared with where no kid is known; no text is known to have it."""


class Actor(Struct, frozen=True):
    """Who asks.

    Attributes:
        name: As the token's maker wrote it.

        kid: Which of the actor's tokens.
    """

    name: str
    kid: str


class DenialReason(StrEnum):
    """Why a text opens nothing; for us, the one who asks is told less."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    MISMATCH = "mismatch"
    EXPIRED = "expired"
    REVOKED = "revoked"


class AccessGranted(Struct, frozen=True):
    """The text is a valid token of *actor*."""

    actor: Actor
    scopes: frozenset[Scope]


class AccessDenied(Struct, frozen=True):
    """The text opens nothing.

    Attributes:
        reason: Why.

        kid: Of the token it names, None where we know no such token.
    """

    reason: DenialReason
    kid: str | None = None


def verify_token(
    text: str | None, find_record: Callable[[str], TokenRecord | None], now_ms: int
) -> AccessGranted | AccessDenied:
    """Judge what was sent as a bearer token.

    Whatever the text, one hash is computed and one comparison made, in constant time, so that how
    long it takes says nothing about which kids there are.

    Args:
        text: What was sent, None for nothing.

        find_record: The record of a kid.

        now_ms: Epoch ms.
    """
    kid = kid_of(text or "")
    record = find_record(kid) if kid is not None else None
    known = record.sha256 if record else _UNMATCHED_DIGEST
    same = hmac.compare_digest(digest_of(text or ""), known)
    if text is None:
        return AccessDenied(DenialReason.MISSING)
    if kid is None:
        return AccessDenied(DenialReason.MALFORMED)
    if record is None:
        return AccessDenied(DenialReason.UNKNOWN)
    if not same:
        return AccessDenied(DenialReason.MISMATCH, kid)
    return _check_validity(record, now_ms)


def _check_validity(record: TokenRecord, now_ms: int) -> AccessGranted | AccessDenied:
    state = record.state_at(now_ms)
    match state:
        case TokenState.VALID:
            return AccessGranted(Actor(record.actor, record.kid), frozenset(record.scopes))
        case TokenState.EXPIRED:
            return AccessDenied(DenialReason.EXPIRED, record.kid)
        case TokenState.REVOKED:
            return AccessDenied(DenialReason.REVOKED, record.kid)
        case _:
            assert_never(state)
