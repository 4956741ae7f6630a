"""The execution capability, from the settings that choose its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chimera_s1.app.capabilities.execution.settings import ExecutionSettings
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Capability
from chimera_s1.app.foundation import Foundation
from chimera_s1.domain.ports.instrument_reader import InstrumentReader

EXECUTION_LEDGER = "execution"
"""The ledger's name in its store; it never changes."""


def execution_enabled(settings: ExecutionSettings) -> bool:
    """False without an exchange key."""
    return settings.moves_money


@asynccontextmanager
async def open_execution(
    settings: ExecutionSettings,
    base: Foundation,
    operations: Operations,
    instruments: InstrumentReader,
) -> AsyncIterator[Capability]:
    """Orders and the account's picture; without a key, nothing."""
    del settings, base, operations, instruments
    yield Capability(name="execution")
