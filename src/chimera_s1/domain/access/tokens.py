"""Bearer tokens: `chs1_<kid>_<43 characters>`, the last part being 32 random bytes in base64url.

Only a hash is kept. A fast one is right: nobody guesses 256 random bits.
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
    """Whether a token opens anything."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class TokenRecord(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept of a token; times are epoch ms.

    Attributes:
        kid: Its name, part of its text; unique.

        sha256: Of its whole text, 64 hex digits.

        actor: Who holds it.

        scopes: What it may be used for, at least one.

        created_at: When it was made.

        not_after: The last moment it is valid; None is for ever.

        revoked_at: When it was taken back.
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
            # Not quoted: a token put in its place must not show.
            raise InvalidValueError("a kid has 4 to 16 of the characters a-z and 0-9")
        if _DIGEST.fullmatch(self.sha256) is None:
            raise InvalidValueError(f"the sha256 of {self.kid} is not 64 hex digits")
        if _ACTOR.fullmatch(self.actor) is None:
            raise InvalidValueError(
                f"{self.actor!r} is not an actor; write 1 to 64 letters, digits or any of . _ @ - "
                "and begin with a letter or a digit, like treasury-bot"
            )
        if not self.scopes:
            raise InvalidValueError(f"{self.kid} has no scope, so it would open nothing; name one")

    def state_at(self, now_ms: int) -> TokenState:
        """What it is at *now_ms*; a token taken back stays so when its time is up."""
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
    """A token's text, for its holder only, and what is kept of it.

    Args:
        kid: Its name, see `TokenRecord`.

        random_bytes: 32 that nobody can guess.

        actor: Who will hold it.

        scopes: What it may be used for.

        created_at: Now, epoch ms.

        not_after: The last moment it is valid, epoch ms.

    Raises:
        InvalidValueError: One of them cannot be.
    """
    assert len(random_bytes) == SECRET_BYTES, len(random_bytes)
    secret = urlsafe_b64encode(random_bytes).decode().rstrip("=")
    text = f"chs1_{kid}_{secret}"
    wanted = set(scopes)
    ordered = tuple(scope for scope in Scope if scope in wanted)
    return text, TokenRecord(kid, digest_of(text), actor, ordered, created_at, not_after)


def kid_of(text: str) -> str | None:
    """The kid in *text*, or None where that is no token at all."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    """What is kept of the token *text*, 64 hex digits."""
    return sha256(text.encode()).hexdigest()
