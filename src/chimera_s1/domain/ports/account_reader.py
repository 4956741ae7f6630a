"""Port: the exchange account that our API key belongs to."""

from typing import Protocol


class AccountReader(Protocol):
    async def account_uid(self) -> str:
        """The account's number at the exchange; one account may have several keys.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.
            ExchangeRefusedError: The exchange rejects the key.
        """
        ...
