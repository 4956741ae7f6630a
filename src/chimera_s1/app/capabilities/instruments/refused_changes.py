"""Make dead letters of changes that the store refuses for good, and apply them again."""

from collections.abc import Callable

import msgspec

from chimera_s1.app.capabilities.operations.handle_dead_letters import ReplayFailedError
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.registry_document import (
    Document,
    change_document,
    change_from_document,
)
from chimera_s1.domain.operations.dead_letter import LetterPort, TakeLetter
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry, RefusedChange


def keep_change(take: TakeLetter, refused: RefusedChange) -> None:
    """The whole change; the same content of an instrument has the same key."""
    row = refused.change.row
    payload = msgspec.json.encode(change_document(refused.change))
    key = f"{row.instrument} version {row.version} {row.spec_hash[:12]}"
    take(LetterPort.INSTRUMENT_REGISTRY, key, refused.reason, payload, 1)


async def replay_change(
    registry: InstrumentRegistry, wake_readers: Callable[[], None], payload: str
) -> str:
    """Write the change, unless the registry has a newer one.

    Raises:
        InvalidValueError: The payload is no change.
        ReplayFailedError: The store still refuses it.
        StoreUnavailableError: The store does not answer.
    """
    try:
        document = msgspec.json.decode(payload, type=Document)
    except msgspec.DecodeError as error:
        raise InvalidValueError(f"the payload is no change of the registry: {error}") from error
    change = change_from_document(document)
    instrument = change.row.instrument
    applied = await registry.apply([change])
    for refused in applied.refused:
        if refused.change.row.instrument == instrument:
            raise ReplayFailedError(f"the store refuses {instrument}: {refused.reason}")
    wake_readers()
    row = await registry.find(instrument)
    version = "no version" if row is None else f"version {row.version}"
    return f"{instrument} is in the registry with {version}"
