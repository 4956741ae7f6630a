"""Port: what our key at the exchange may do."""

from typing import Protocol

from msgspec import Struct


class KeyPermissions(Struct, frozen=True, kw_only=True):
    """What the exchange lets the key do.

    Attributes:
        may_read: Accounts and histories; without it, no unknown outcome can be found out.

        may_transfer: Between wallets, in the way that is configured.

        may_withdraw: Out of the exchange. We never do; a key that may is a danger.

        ip_restricted: It works from named addresses only.
    """

    may_read: bool
    may_transfer: bool
    may_withdraw: bool
    ip_restricted: bool


class KeyPermissionsReader(Protocol):
    """Knows the key."""

    async def key_permissions(self) -> KeyPermissions:
        """What the key may do now.

        Raises:
            ExchangeUnavailableError: No answer; asking later may help.

            ExchangeRefusedError: The exchange does not accept the key.
        """
        ...
