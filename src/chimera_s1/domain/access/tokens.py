"""Bearer tokens: `chs1_<kid>_<43 characters>`; the last part is 32 random bytes in base64url.

Only a hash is stored. A fast hash suffices: 256 random bits cannot be guessed.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256

from msgspec import Struct

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import InvalidValueError

SECRET_BYTES = 32
_KID = re.compile(r"[a-z0-9]{4,16}")
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"chs1_([a-z0-9]{4,16})_[A-Za-z0-9_-]{43}")


class TokenState(StrEnum):
    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class TokenRecord(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The stored part of a token; times are epoch ms.

    Attributes:
        kid: Unique key id, part of the token text.
        sha256: Of the whole token text, 64 hex digits.
        actor: The holder.
        scopes: At least one.
        not_after: Last valid moment; None for no expiry.
    """

    kid: str
    sha256: str
    actor: str
    scopes: tuple[Scope, ...]
    created_at: int
    not_after: int | None = None
    revoked_at: int | None = None

    def __post_init__(self) -> None:
        if _KID.fullmatch(self.kid) is None:
            # The value is not quoted: it may be a token typed by mistake.
            raise InvalidValueError("a kid has 4 to 16 of the characters a-z and 0-9")
        if _DIGEST.fullmatch(self.sha256) is None:
            raise InvalidValueError(f"the sha256 of {self.kid} is not 64 hex digits")
        if _ACTOR.fullmatch(self.actor) is None:
            raise InvalidValueError(
                f"{self.actor!r} is not an actor; write 1 to 64 letters, digits or any of . _ @ - "
                "and begin with a letter or a digit, like treasury-bot"
            )
        if not self.scopes:
            raise InvalidValueError(f"token {self.kid} has no scope; give it at least one")

    def state_at(self, now_ms: int) -> TokenState:
        """The state at *now_ms*; a revoked token stays REVOKED after its expiry."""
        if self.revoked_at is not None and self.revoked_at <= now_ms:
            return TokenState.REVOKED
        if self.not_after is not None and self.not_after < now_ms:
            return TokenState.EXPIRED
        return TokenState.VALID


def make_token(
    kid: str,
    random_bytes: bytes,
    *,
    actor: str,
    scopes: Iterable[Scope],
    created_at: int,
    not_after: int | None = None,
) -> tuple[str, TokenRecord]:
    """The token text, for its holder only, and the record to store.

    *random_bytes* are 32 bytes from a cryptographic source.
    """
    assert len(random_bytes) == SECRET_BYTES, len(random_bytes)
    secret = urlsafe_b64encode(random_bytes).decode().rstrip("=")
    text = f"chs1_{kid}_{secret}"
    granted = set(scopes)
    ordered = tuple(scope for scope in Scope if scope in granted)
    return text, TokenRecord(kid, digest_of(text), actor, ordered, created_at, not_after)


def kid_of(text: str) -> str | None:
    """The kid in *text*; None if it does not have the form of a token."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    """SHA-256 of the token *text*, 64 hex digits."""
    return sha256(text.encode()).hexdigest()
