"""Has the running service read the listings now."""

import os
from urllib.parse import urlencode

from msgspec import Struct

from chimera_s1.app.cli.shared.output import print_line
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.cli.shared.service_call import call_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.identifiers import Venue


class _Sync(Struct, frozen=True):
    venue: str
    listed: int
    added: int
    changed: int
    vanished: int
    unusable: int
    held: int
    refused: int


class _Syncs(Struct, frozen=True):
    syncs: tuple[_Sync, ...]


async def sync_and_print(
    settings: Settings, url: str | None, venue: Venue | None, accept: bool
) -> bool:
    """Print what has changed; whether all of it was applied.

    Raises:
        ConfigurationError: There is no service or no token.
        ServiceCallError: The service did not answer, or could not sync; it has its words.
    """
    service = find_service(url, os.environ, settings, scope=Scope.JOBS_RUN)
    query = {"accept": str(accept).lower()} | ({} if venue is None else {"venue": venue.value})
    path = f"/xchg/instruments/sync?{urlencode(query)}"
    syncs = (await call_service(service, "POST", path, _Syncs)).syncs
    for each in syncs:
        print_line(_text(each))
    return not any(each.held or each.refused for each in syncs)


def _text(sync: _Sync) -> str:
    text = (
        f"{sync.venue}: {sync.listed} listed, {sync.added} new, {sync.changed} changed, "
        f"{sync.vanished} gone"
    )
    if sync.unusable:
        text += f", {sync.unusable} not readable"
    if sync.refused:
        text += f", {sync.refused} refused by the store"
    if sync.held:
        text += (
            f"\n{sync.held} in quarantine: too many rows of one status would vanish or change at "
            "once.\nCompare them with Binance, then: chimera-s1 instruments sync --accept"
        )
    return text
