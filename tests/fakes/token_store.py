"""Tokens in memory."""

from collections.abc import Iterable

from chimera_s1.domain.access.tokens import TokenRecord


class MemoryTokenStore:
    """Implements `domain.ports.token_store.TokenStore`."""

    def __init__(self, records: Iterable[TokenRecord] = ()) -> None:
        self._records = {record.kid: record for record in records}

    def find(self, kid: str) -> TokenRecord | None:
        return self._records.get(kid)

    def records(self) -> tuple[TokenRecord, ...]:
        return tuple(self._records.values())

    def put(self, record: TokenRecord) -> None:
        self._records[record.kid] = record
