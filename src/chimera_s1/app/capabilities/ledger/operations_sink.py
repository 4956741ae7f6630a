"""A ledger's events as entries of `ops:events`.

Each entry carries the sequence number and the hash of its commit: with a saved pair, a truncated or
rewritten ledger can be detected later.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from chimera_s1.domain.ledger.commit import Commit, Document, RecordedEvent
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.ports.operations_log import OperationsEvent, OperationsLog

STREAM: Final = "ops:events"

Detail: TypeAlias = dict[str, str | int | float | bool | None]
ExtraFields: TypeAlias = Callable[[Document], Mapping[str, float]]
"""Fields that a capability adds to its events, from an event's data."""


def no_extra_fields(_: Document) -> Mapping[str, float]:
    return {}


class OperationsSink:
    """Implements `relay.RelaySink`."""

    def __init__(
        self, operations: OperationsLog, extra_fields: ExtraFields = no_extra_fields
    ) -> None:
        self._operations = operations
        self._extra_fields = extra_fields

    async def write(self, commit: Commit, record: RecordedEvent) -> tuple[RelayedEntry, ...]:
        detail = self._detail(commit, record)
        event = OperationsEvent(record.id, commit.at, record.type, detail)
        return (RelayedEntry(STREAM, await self._operations.record(event)),)

    async def contains(self, entry: RelayedEntry) -> bool:
        return await self._operations.contains(entry.entry_id)

    def _detail(self, commit: Commit, record: RecordedEvent) -> Detail:
        detail: Detail = {
            "seq": commit.seq,
            "position": commit.seq,  # the old name of seq, for one release
            "ledger": commit.ledger,
            "hash": commit.hash,
            "stream": record.stream,
            "version": record.version,
            "actor": commit.actor,
        }
        self._flatten(record.data, detail)
        return detail

    def _flatten(self, data: Document, detail: Detail) -> None:
        """Add *data*, with the members of nested objects beside the rest."""
        for name, value in data.items():
            match value:
                case dict():
                    self._flatten(value, detail)
                case str() | int() | bool() | None:
                    detail[name] = value
                case list() | tuple():
                    detail[name] = ",".join(map(str, value))
                case _:
                    detail[name] = str(value)
        detail.update(self._extra_fields(data))
