"""Verification of bearer tokens."""

import hmac
from collections.abc import Callable
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, TokenState, digest_of, kid_of

_UNMATCHED_DIGEST = "0" * 64
"""Compared with if the kid is unknown; no known text has this digest."""


class Actor(Struct, frozen=True):
    """The authenticated caller and the token it used."""

    name: str
    kid: str


class DenialReason(StrEnum):
    """Reason for a denial; for logs only, the caller gets less detail."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    MISMATCH = "mismatch"
    EXPIRED = "expired"
    REVOKED = "revoked"


class AccessGranted(Struct, frozen=True):
    actor: Actor
    scopes: frozenset[Scope]


class AccessDenied(Struct, frozen=True):
    """*kid* is that of the token record, None if there is no such record."""

    reason: DenialReason
    kid: str | None = None


def verify_token(
    text: str | None, find_record: Callable[[str], TokenRecord | None], now_ms: int
) -> AccessGranted | AccessDenied:
    """Verify a bearer token; *text* is None if none was sent.

    One hash is computed and one constant-time comparison made for any text, so that the duration
    does not reveal which kids exist.
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
