"""Walk a ledger from its first commit to its last, and prove each one on the way."""

import re

import msgspec

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError
from chimera_s1.domain.ledger.commit import LedgerEntry, LedgerHead, chain_error, head_of
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.open_transfers import OpenTransfers

READ_BATCH_SIZE = 256
_ANCHOR = re.compile(r"([0-9]{1,16}):([0-9a-f]{64})")


class LedgerVerifier:
    """What it keeps does not grow with the ledger, only with what is open in it.

    Attributes:
        head: The last proven commit.
    """

    def __init__(self, store: EventStore, anchor: LedgerHead | None = None) -> None:
        """Args:
        store: The ledger.

        anchor: A head it had before; the ledger must lead over it.
        """
        self.head = LedgerHead()
        self._store = store
        self._anchor = anchor
        self._open = OpenTransfers()

    async def verify_next(self) -> tuple[LedgerEntry, ...]:
        """The next commits, proven; empty at the end of the ledger.

        Raises:
            LedgerDamagedError: Here is where it stops to be what was written.

            StoreUnavailableError: Nothing is lost, call again.
        """
        if self.head == LedgerHead():
            self._check_anchor()
        entries = await self._store.read(self.head.seq, READ_BATCH_SIZE)
        for entry in entries:
            self._verify_entry(entry)
        if not entries:
            self._require_anchor_reached()
        return entries

    def _verify_entry(self, entry: LedgerEntry) -> None:
        problem = chain_error(entry, self.head)
        if problem:
            raise LedgerDamagedError(problem)
        try:
            self._open.fold_commit(entry.commit)
        except (LedgerDamagedError, msgspec.ValidationError) as error:
            raise LedgerDamagedError(f"commit {entry.commit.seq}: {error}") from error
        self.head = head_of(entry.commit)
        self._check_anchor()

    def _check_anchor(self) -> None:
        anchor = self._anchor
        if anchor is not None and anchor.seq == self.head.seq and anchor != self.head:
            raise LedgerDamagedError(
                f"commit {anchor.seq} is not the one of the anchor: the ledger was rewritten there "
                "or before, or it is another one"
            )

    def _require_anchor_reached(self) -> None:
        if self._anchor is not None and self._anchor.seq > self.head.seq:
            raise LedgerDamagedError(
                f"the ledger ends at commit {self.head.seq}, and the anchor is of commit "
                f"{self._anchor.seq}: its tail was cut"
            )


def anchor_text(head: LedgerHead) -> str:
    """`20000:<hash>`, to be kept elsewhere."""
    return f"{head.seq}:{head.hash}"


def parse_anchor(text: str) -> LedgerHead:
    """Read what `anchor_text` has written.

    Raises:
        InvalidValueError: It is something else.
    """
    found = _ANCHOR.fullmatch(text.strip())
    if found is None:
        raise InvalidValueError(
            "an anchor is SEQ:HASH, a number and 64 hexadecimal digits, as chimera-s1 ledger "
            "verify prints it"
        )
    return LedgerHead(int(found[1]), found[2])
