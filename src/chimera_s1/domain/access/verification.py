"""Is this text a token, whose is it, and does it open anything now?"""

import hmac
from collections.abc import Callable
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, TokenState, digest_of, kid_of

_DIGEST_OF_NOTHING = "0" * 64
"""Compared with where no kid is known; no text is known to have it."""


class Actor(Struct, frozen=True):
    """Who asks.

    Attributes:
        name: As the token's maker wrote it.

        kid: Which of the actor's tokens.
    """

    name: str
    kid: str


class RefusalReason(StrEnum):
    """Why a text opens nothing; for us, the one who asks is told less."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    MISMATCH = "mismatch"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Granted(Struct, frozen=True):
    """The text is a valid token of *actor*."""

    actor: Actor
    scopes: frozenset[Scope]


class Refused(Struct, frozen=True):
    """The text opens nothing.

    Attributes:
        reason: Why.

        kid: Of the token it names, None where we know no such token.
    """

    reason: RefusalReason
    kid: str | None = None


def verify(
    text: str | None, find: Callable[[str], TokenRecord | None], now_ms: int
) -> Granted | Refused:
    """Judge what was sent as a bearer token.

    Whatever the text, one hash is computed and one comparison made, in constant time, so that how
    long it takes says nothing about which kids there are.

    Args:
        text: What was sent, None for nothing.

        find: The record of a kid.

        now_ms: Epoch ms.
    """
    kid = kid_of(text or "")
    record = find(kid) if kid is not None else None
    known = record.sha256 if record else _DIGEST_OF_NOTHING
    same = hmac.compare_digest(digest_of(text or ""), known)
    if text is None:
        return Refused(RefusalReason.MISSING)
    if kid is None:
        return Refused(RefusalReason.MALFORMED)
    if record is None:
        return Refused(RefusalReason.UNKNOWN)
    if not same:
        return Refused(RefusalReason.MISMATCH, kid)
    return _of_its_time(record, now_ms)


def _of_its_time(record: TokenRecord, now_ms: int) -> Granted | Refused:
    state = record.state(now_ms)
    match state:
        case TokenState.VALID:
            return Granted(Actor(record.actor, record.kid), frozenset(record.scopes))
        case TokenState.EXPIRED:
            return Refused(RefusalReason.EXPIRED, record.kid)
        case TokenState.REVOKED:
            return Refused(RefusalReason.REVOKED, record.kid)
        case _:
            assert_never(state)
