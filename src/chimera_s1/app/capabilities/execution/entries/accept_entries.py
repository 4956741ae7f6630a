"""Accept an entry: judge it, store it with the intent of its order, and send the order once."""

from collections.abc import Callable

from msgspec import Struct

from chimera_s1.app.capabilities.execution.entries.decide_entry import decide_entry, unprotected_ms
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.execution_ledger import Opening
from chimera_s1.app.capabilities.execution.place_orders import PlaceOrders
from chimera_s1.domain.errors import ChimeraError, ClientIdUsedError
from chimera_s1.domain.execution.entries.admission import (
    AdmissionFacts,
    admit,
    notional_usdt,
    require_room,
)
from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryChanged
from chimera_s1.domain.execution.entries.specs import EntrySpec
from chimera_s1.domain.execution.entries.steps import Record, Situation
from chimera_s1.domain.execution.position_effect import Purpose


class EntryKeyReusedError(ChimeraError):
    """The key belongs to an entry with another body."""

    code = "entry.key_reused"


class EntryPicture(Struct, frozen=True, kw_only=True):
    """An entry as it is now; *picture* is None before anything is known of its order."""

    entry: Entry
    orders: EntryOrders
    picture: EntryChanged | None
    waiting_for: str = ""
    unprotected_ms: int = 0


class EntryRequest(Struct, frozen=True, kw_only=True):
    """Attributes:
    body_hash: SHA-256 of the canonical body.
    """

    entry_id: str
    spec: EntrySpec
    body_hash: str


class AcceptEntries:
    """Args:
    picture: An entry as it is now.
    facts: What an entry is judged by, of this moment.
    closed: Why nothing may be opened now; None if it may.
    now_ms: The exchange's clock where it is known, epoch ms.
    """

    def __init__(
        self,
        entries: EntryLedger,
        place: PlaceOrders,
        picture: Callable[[Entry], EntryPicture],
        *,
        facts: Callable[[EntrySpec], AdmissionFacts],
        closed: Callable[[], ChimeraError | None],
        now_ms: Callable[[EntrySpec], int],
    ) -> None:
        self._entries = entries
        self._place = place
        self._picture = picture
        self._facts = facts
        self._closed = closed
        self._now_ms = now_ms

    async def accept(self, request: EntryRequest, actor: str) -> EntryPicture:
        """The entry as it is now. The same key again places nothing.

        Raises:
            EntryKeyReusedError: The key belongs to an entry with another body.
            EntryRefusedError, OrderRulesError: A rule refuses it.
            AccountUnreadError: The account was not read yet since the start.
            KillSwitchOnError, ModeHaltedError, ModeManageOnlyError, ModeUnknownError,
                ServiceStoppingError: Nothing may be opened now.
            ExchangeUnavailableError, ExchangeRefusedError, AppendUncertainError,
                StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: As
                `PlaceOrders.place`.

        Nothing was sent where it raises; after AppendUncertainError the key stays bound.
        """
        known = await self._entries.find(request.entry_id)
        if known is None:
            known = await self._open(request, actor)
        if known.accepted.body_hash != request.body_hash:
            raise EntryKeyReusedError(
                f"{request.entry_id} is the key of another entry, accepted with another body; "
                "use a new key"
            )
        return self._picture(known)

    async def _open(self, request: EntryRequest, actor: str) -> Entry:
        spec, entry_id = request.spec, request.entry_id
        if closed := self._closed():
            raise closed
        facts = self._facts(spec)
        order = admit(spec, entry_id, facts)
        accepted = EntryAccepted(
            entry_id=entry_id,
            at_ms=self._now_ms(spec),
            spec=spec,
            body_hash=request.body_hash,
            notional_usdt=notional_usdt(spec, facts),
            actor=actor,
        )
        try:
            await self._place.place(
                order,
                entry_id,
                Purpose.ENTRY,
                actor,
                opening=Opening(accepted, lambda: self._require_room(accepted)),
            )
        except ClientIdUsedError:
            # The same key at another instance, or at this one, at the same time.
            known = await self._entries.find(entry_id)
            if known is None:
                raise
            return known
        return await self._entries.find(entry_id) or Entry(accepted=accepted)

    def _require_room(self, accepted: EntryAccepted) -> None:
        """Other entries may have been accepted meanwhile, here or at another instance."""
        require_room(accepted.spec, accepted.notional_usdt, self._facts(accepted.spec))


def picture_of(situation: Situation) -> EntryPicture:
    """What the orders say now; it may be newer than what is stored."""
    following = decide_entry(situation)
    records = (step.event for step in following.steps if isinstance(step, Record))
    changed = next((event for event in records if isinstance(event, EntryChanged)), None)
    return EntryPicture(
        entry=situation.entry,
        orders=situation.orders,
        picture=changed or situation.entry.picture,
        waiting_for=following.waiting_for,
        unprotected_ms=unprotected_ms(situation),
    )
