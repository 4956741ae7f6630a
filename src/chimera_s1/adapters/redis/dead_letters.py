"""Dead letters in the stream `dlq:s1`."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import DEAD_LETTER_STREAM
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.operations.dead_letter import DeadLetter
from chimera_s1.domain.ports.dead_letters import AddedLetter, StoredLetter

TIMEOUT_S = 5.0
_ENTRY_ID: Final = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)


class RedisDeadLetters:
    """Implements `domain.ports.dead_letters.DeadLetters`."""

    def __init__(self, client: ClusterClient, *, limit: int, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._limit = limit
        self._timeout_s = timeout_s

    async def add(self, letter: DeadLetter) -> AddedLetter:
        entry_id = await self._execute(
            "XADD", DEAD_LETTER_STREAM, "*",
            "ts", letter.ts,
            "port", letter.port,
            "key", letter.key,
            "reason", letter.reason,
            "payload", letter.payload,
            "attempts", letter.attempts,
        )  # fmt: skip
        dropped = 0
        with suppress(PublisherUnavailableError, ConfigurationError):  # the next letter trims
            # By itself, because XADD does not say how many entries it has trimmed.
            dropped = await self._execute("XTRIM", DEAD_LETTER_STREAM, "MAXLEN", self._limit)
        return AddedLetter(str(entry_id), int(dropped))

    async def page(self, *, after: str = "", limit: int = 100) -> tuple[StoredLetter, ...]:
        if after and not _ENTRY_ID.fullmatch(after):
            return ()
        start = f"({after}" if after else "-"
        found = await self._execute("XRANGE", DEAD_LETTER_STREAM, start, "+", "COUNT", limit)
        return tuple(StoredLetter(entry_id, _letter(fields)) for entry_id, fields in found)

    async def find(self, letter_id: str) -> StoredLetter | None:
        if not _ENTRY_ID.fullmatch(letter_id):
            return None
        found = await self._execute("XRANGE", DEAD_LETTER_STREAM, letter_id, letter_id)
        return next((StoredLetter(entry_id, _letter(fields)) for entry_id, fields in found), None)

    async def remove(self, letter_id: str) -> bool:
        if not _ENTRY_ID.fullmatch(letter_id):
            return False
        return int(await self._execute("XDEL", DEAD_LETTER_STREAM, letter_id)) > 0

    async def count(self) -> int:
        return int(await self._execute("XLEN", DEAD_LETTER_STREAM))

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 (depends on the command)
        with (
            self._client.translate_errors(DEAD_LETTER_STREAM),
            anyio.fail_after(self._timeout_s),
        ):
            return await self._client.execute_command(*command)


def _letter(fields: Mapping[str, str]) -> DeadLetter:
    """Also of an entry that somebody else has written."""
    return DeadLetter(
        ts=_number(fields.get("ts", "")),
        port=fields.get("port", ""),
        key=fields.get("key", ""),
        reason=fields.get("reason", ""),
        payload=fields.get("payload", ""),
        attempts=_number(fields.get("attempts", "")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
