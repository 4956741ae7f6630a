"""Port: the tokens of the HTTP API."""

from typing import Protocol

from chimera_s1.domain.access.tokens import TokenRecord


class TokenStore(Protocol):
    """Stores token records, never the token text."""

    def find(self, kid: str) -> TokenRecord | None:
        """The record of *kid*, or None. A change by another process is visible within a second."""
        ...

    def records(self) -> tuple[TokenRecord, ...]:
        """All records, oldest first."""
        ...

    def put(self, record: TokenRecord) -> None:
        """Add *record*, or replace the one with its kid.

        Raises:
            ConfigurationError: Writing failed; the stored records are unchanged.
        """
        ...
