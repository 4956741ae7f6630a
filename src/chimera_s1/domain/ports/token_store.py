"""Port: the tokens that open the HTTP API."""

from typing import Protocol

from chimera_s1.domain.access.tokens import TokenRecord


class TokenStore(Protocol):
    """Keeps what there is to know of each token, never its text."""

    def find(self, kid: str) -> TokenRecord | None:
        """The token *kid*, or None; what another process has put shows within a second."""
        ...

    def records(self) -> tuple[TokenRecord, ...]:
        """Every token, oldest first."""
        ...

    def put(self, record: TokenRecord) -> None:
        """Keep *record*, in place of the one of its kid.

        Raises:
            ConfigurationError: It could not be kept; what was there still is.
        """
        ...
