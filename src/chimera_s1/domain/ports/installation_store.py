"""Port: the identity of an installation, kept in the database of its ledger."""

from enum import StrEnum
from typing import Protocol


class InstallationFact(StrEnum):
    """What is recorded about an installation, once."""

    ID = "id"
    """Random; recorded when the service first opens the database."""

    ACCOUNT = "account"
    """The exchange account whose transfers are in the ledger."""

    START = "start"
    """Why the ledger may send transfers although it began empty."""

    CONFIRMED = "confirmed"
    """When an operator first took the account for the ledger, epoch ms: until then, the operator
    answers for movements that it does not know.
    """


class InstallationStore(Protocol):
    """Facts that are written once and never change; calls may raise `StoreUnavailableError`."""

    async def find(self, fact: InstallationFact) -> str:
        """The recorded value; empty if there is none."""
        ...

    async def record(self, fact: InstallationFact, value: str) -> str:
        """Record *value* if nothing is recorded yet; the recorded value, the same for every caller.

        After `StoreUnavailableError` it may be recorded or not; recording again is safe.
        """
        ...
