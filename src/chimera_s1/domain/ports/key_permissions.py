"""Port: permissions of our API key at the exchange."""

from typing import Protocol

from msgspec import Struct


class KeyPermissions(Struct, frozen=True, kw_only=True):
    """Permissions of a key.

    Attributes:
        may_read: Accounts and histories; required for reconciliation.
        may_transfer: Between wallets, in the configured treasury mode.
        may_withdraw: Never needed; a key with this permission is a danger.
    """

    may_read: bool
    may_transfer: bool
    may_withdraw: bool
    ip_restricted: bool


class KeyPermissionsReader(Protocol):
    async def key_permissions(self) -> KeyPermissions:
        """Read the current permissions.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.
            ExchangeRefusedError: The exchange rejects the key.
        """
        ...
