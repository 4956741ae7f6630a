"""Control access by token, scope and rate limit; count and record refusals."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from math import ceil
from typing import assert_never

from chimera_s1.app.web.access.public_budget import PublicBudget
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import AccessDenied, AccessGranted, Actor, verify_token
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.rate_limit import Allowance, Exceeded, RateLimit
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.token_store import TokenStore

ANONYMOUS = Actor(name="anyone", kid="")
"""The actor of reads while no tokens are configured."""

RECORD_INTERVAL_MS = 1_000
PATH_CHARACTERS_MAX = 200


class TokenRefusedError(ChimeraError):
    """No valid token; the text does not reveal the reason."""

    code = "access.token"


class ScopeMissingError(ChimeraError):
    """The token lacks the required scope."""

    code = "access.scope"


class AccessDisabledError(ChimeraError):
    """Routes that move money are disabled while no tokens are configured."""

    code = "access.disabled"


class RateExceededError(ChimeraError):
    """The actor exceeds its rate limit."""

    code = "access.rate"

    def __init__(self, text: str, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class _RefusalRule(StrEnum):
    """Reasons besides those of `DenialReason`."""

    SCOPE = "scope"
    DISABLED = "disabled"
    RATE = "rate"


class ControlAccess:
    """Authorizes the requests of all routes that are not public.

    Args:
        tokens: None if no tokens are configured: then every caller may read, and none may move
            money.
        limit: For each actor, on routes that move money.
        record: Takes an operational event, `OperationsOutbox.record`.

    Attributes:
        public: Limits the requests that need no token.
    """

    def __init__(
        self,
        tokens: TokenStore | None,
        *,
        limit: RateLimit,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self._tokens = tokens
        self._limit = limit
        self._clock = clock
        self._record = record
        # Both are bounded: their keys are kids and actors of the token file.
        self._allowances: dict[str, Allowance] = {}
        self._recorded_ms: dict[tuple[str | None, str], float] = {}
        self.refusals: Counter[str] = Counter()
        self.public = PublicBudget(clock)

    def authorize(self, bearer: str | None, scope: Scope, path: str) -> Actor:
        """The actor of a request; *bearer* is None if no token was sent.

        Raises:
            AccessDisabledError: *scope* needs tokens, and none are configured.
            TokenRefusedError: *bearer* is not a valid token.
            ScopeMissingError: The token does not have *scope*.
            RateExceededError: The actor exceeds the rate limit.
        """
        if self._tokens is None:
            return self._without_tokens(scope, path)
        decision = verify_token(bearer, self._tokens.find, self._clock.now_ms())
        match decision:
            case AccessDenied(reason=reason, kid=kid):
                self._count_refusal(kid, reason, path)
                raise TokenRefusedError(
                    "a valid token is required; send Authorization: Bearer and the token, which "
                    "the operator creates with chimera-s1 tokens create"
                )
            case AccessGranted(actor=actor, scopes=scopes) if scope not in scopes:
                self._count_refusal(actor.kid, _RefusalRule.SCOPE, path)
                raise ScopeMissingError(
                    f"this needs the scope {scope.value}, which the token does not have; the "
                    "operator creates one that has it with chimera-s1 tokens create"
                )
            case AccessGranted(actor=actor):
                if scope.requires_tokens:
                    self._enforce_rate_limit(actor, path)
                return actor
            case _:
                assert_never(decision)

    def _without_tokens(self, scope: Scope, path: str) -> Actor:
        if not scope.requires_tokens:
            return ANONYMOUS
        self._count_refusal(None, _RefusalRule.DISABLED, path)
        raise AccessDisabledError(
            "no tokens are configured, so this is disabled; create one with chimera-s1 tokens "
            f"create --scope {scope.value}, and start the service with S1_API_TOKENS_FILE"
        )

    def _enforce_rate_limit(self, actor: Actor, path: str) -> None:
        now_ms = self._clock.monotonic_ms()
        before = self._allowances.get(actor.name) or self._limit.initial_allowance(now_ms)
        after = self._limit.take(before, now_ms)
        match after:
            case Allowance():
                self._allowances[actor.name] = after
            case Exceeded(wait_ms=wait_ms):
                self._count_refusal(actor.kid, _RefusalRule.RATE, path)
                raise RateExceededError(
                    f"{actor.name} sends more than {self._limit.per_s} requests per second; wait "
                    "as Retry-After says, then send the same request again",
                    retry_after_s=max(1, ceil(wait_ms / 1000)),
                )
            case _:
                assert_never(after)

    def _count_refusal(self, kid: str | None, reason: str, path: str) -> None:
        """Count a refusal, and record at most one a second for each kid and reason."""
        self.refusals[reason] += 1
        now_ms = self._clock.monotonic_ms()
        last_ms = self._recorded_ms.get((kid, reason))
        if last_ms is not None and now_ms - last_ms < RECORD_INTERVAL_MS:
            return
        self._recorded_ms[kid, reason] = now_ms
        shown = path[:PATH_CHARACTERS_MAX]
        self._record("access.refused", {"kid": kid, "path": shown, "reason": reason})
