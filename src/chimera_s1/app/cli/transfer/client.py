"""Asking for a transfer until there is an answer: kept first, sent then, and asked again with the
same id after whatever is not an answer.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.cli.transfer.replies import (
    Again,
    Final,
    NotOver,
    NotThere,
    Refused,
    Verdict,
    judge,
)
from chimera_s1.app.cli.transfer.saved_transfers import KeptTransfer, KeptTransfers
from chimera_s1.app.cli.transfer.service_client import Requests, Unanswered
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

PATH = "/xchg/treasury/transfer"
TRIES_MAX = 30
STALE_MS = 600_000
"""A wish that was never accepted must not come true any more after this."""

RETRIES = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=250)
LOOKS = Backoff(base_ms=500, max_wait_ms=2_000, jitter_ms=100)

_Ask: TypeAlias = Callable[[], Awaitable[Verdict]]


class Ending(Struct, frozen=True):
    """How asking has ended.

    Attributes:
        kept: As it is kept now.

        verdict: The last one; `Again` and `NotOver` where time ran out, `NotThere` where the
            service has never accepted it and it is too old to be sent now.

        body: The last answer; empty where there was none.
    """

    kept: KeptTransfer
    verdict: Verdict
    body: bytes


class TransferAsking:
    """One transfer.

    Args:
        kept: Is on the disk already.

        keeping: Where.

        requests: To its service.

        clock: Time and waiting.

        draw: Uniform in [0, 1).

        say: Tells people what happens.

        wait_ms: How long to ask; the first request is made in any case.
    """

    def __init__(
        self,
        kept: KeptTransfer,
        keeping: KeptTransfers,
        requests: Requests,
        *,
        clock: Clock,
        draw: Callable[[], float],
        say: Callable[[str], None],
        wait_ms: float,
    ) -> None:
        self._kept = kept
        self._keeping = keeping
        self._requests = requests
        self._clock = clock
        self._draw = draw
        self._say = say
        self._until_ms = clock.monotonic_ms() + wait_ms
        self._tries = 0
        self._may_look = True
        self._body = b""

    async def ask(self) -> Ending:
        """Ask for it until it is over or time is."""
        return self._end(await self._follow(await self._insist(self._send)))

    async def resume(self) -> Ending:
        """Go on where an earlier `ask` has stopped. One that is stale is looked for,
        and not sent.
        """
        if self._clock.now_ms() - self._kept.kept_at <= STALE_MS:
            self._count()
            return await self.ask()
        verdict = await self._insist(self._look)
        return self._end(await self._follow(verdict))

    async def _send(self) -> Verdict:
        kept = self._kept
        body = msgspec.json.encode(kept.body)
        return await self._asked("POST", PATH, body, kept.transfer_id)

    async def _look(self) -> Verdict:
        name = quote(self._kept.transfer_id, safe=":@+=,~")
        return await self._asked("GET", f"{PATH}/{name}")

    async def _insist(self, ask: _Ask) -> Verdict:
        """The first answer that says something; `Again` where time or tries are over."""
        retries = 0
        while True:
            verdict = await ask()
            if not isinstance(verdict, Again):
                return verdict
            wait_ms = max(RETRIES.wait_ms(retries, self._draw()), verdict.wait_ms)
            if not self._has_time(wait_ms):
                return verdict
            self._say(
                f"{verdict.cause}; asking again with the same id in {wait_ms / 1000:.1f} s, which "
                "is safe: one id moves money once"
            )
            await self._clock.sleep_ms(wait_ms)
            retries += 1
            if ask == self._send:
                self._count()

    async def _follow(self, verdict: Verdict) -> Verdict:
        """Look what becomes of an accepted one; nothing but its end ends it, apart from time."""
        looks = 0
        while isinstance(verdict, NotOver):
            wait_ms = LOOKS.wait_ms(looks, self._draw())
            if not self._has_time(wait_ms):
                return verdict
            if looks == 0:
                self._say("accepted, and not over: looking what becomes of it")
            await self._clock.sleep_ms(wait_ms)
            looks += 1
            found = await self._insist(self._look if self._may_look else self._send)
            match found:
                case Final() | NotOver():
                    verdict = found
                case Refused(forbidden=True) if self._may_look:
                    # A token for transfers alone cannot look, and asking again tells as well.
                    self._may_look = False
                case Refused(cause=cause) | Again(cause=cause):
                    return NotOver(cause)
                case NotThere():
                    return NotOver("it was accepted, and the service does not know it now")
                case _:
                    assert_never(found)
        return verdict

    async def _asked(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> Verdict:
        self._tries += 1
        try:
            reply = await self._requests(method, path, body, key)
        except Unanswered as error:
            return Again(f"{self._kept.url} gave no answer ({error})")
        self._body = reply.body
        return judge(reply, self._kept.transfer_id)

    def _has_time(self, wait_ms: float) -> bool:
        return self._tries < TRIES_MAX and self._clock.monotonic_ms() + wait_ms <= self._until_ms

    def _count(self) -> None:
        self._keep(replace(self._kept, asked=self._kept.asked + 1))

    def _end(self, verdict: Verdict) -> Ending:
        match verdict:
            case Final(result=result, message=message):
                self._keep(replace(self._kept, result=result, message=message))
            case Refused(cause=cause):
                if self._kept.asked == 1:
                    # The one request there ever was: nothing of it can be accepted later.
                    self._keep(replace(self._kept, result="FAIL", message=cause))
            case NotThere():
                self._keep(replace(self._kept, result="FAIL", message="never accepted"))
            case NotOver() | Again():
                pass
            case _:
                assert_never(verdict)
        return Ending(self._kept, verdict, self._body)

    def _keep(self, kept: KeptTransfer) -> None:
        self._kept = kept
        self._keeping.keep(kept)
