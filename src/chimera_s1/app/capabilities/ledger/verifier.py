"""Verify a ledger from its first commit to its last: hashes, links and events."""

import re

import msgspec

from chimera_s1.app.capabilities.ledger.engine import READ_BATCH_SIZE, Fold
from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError
from chimera_s1.domain.ledger.commit import LedgerEntry, LedgerHead, chain_error, head_of
from chimera_s1.domain.ports.event_store import EventStore

_ANCHOR = re.compile(r"([0-9]{1,16}):([0-9a-f]{64})")


class LedgerVerifier:
    """Args:
    fold: Raises for events that contradict earlier ones; its memory need not grow with the
        ledger.
    anchor: A head that the ledger had before; it must be one of its commits.
    """

    def __init__(self, store: EventStore, fold: Fold, anchor: LedgerHead | None = None) -> None:
        self.head = LedgerHead()
        """The last verified commit."""
        self._store = store
        self._fold = fold
        self._anchor = anchor

    async def verify_next(self) -> tuple[LedgerEntry, ...]:
        """Verify and return the next commits; empty at the head.

        Raises:
            LedgerDamagedError: The first damaged commit.
            StoreUnavailableError: Call again.
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
            self._fold(entry.commit)
        except (LedgerDamagedError, msgspec.ValidationError) as error:
            raise LedgerDamagedError(f"commit {entry.commit.seq}: {error}") from error
        self.head = head_of(entry.commit)
        self._check_anchor()

    def _check_anchor(self) -> None:
        anchor = self._anchor
        if anchor is not None and anchor.seq == self.head.seq and anchor != self.head:
            raise LedgerDamagedError(
                f"commit {anchor.seq} differs from the anchor: the ledger was rewritten, or this "
                "is another ledger"
            )

    def _require_anchor_reached(self) -> None:
        if self._anchor is not None and self._anchor.seq > self.head.seq:
            raise LedgerDamagedError(
                f"the ledger ends at commit {self.head.seq}, before the anchor "
                f"{self._anchor.seq}: commits are missing"
            )


def anchor_text(head: LedgerHead) -> str:
    """`20000:<hash>`, to be stored on another machine."""
    return f"{head.seq}:{head.hash}"


def parse_anchor(text: str) -> LedgerHead:
    """The inverse of `anchor_text`.

    Raises:
        InvalidValueError: *text* is not an anchor.
    """
    found = _ANCHOR.fullmatch(text.strip())
    if found is None:
        raise InvalidValueError(
            "an anchor is SEQ:HASH, a number and 64 hexadecimal digits, as chimera-s1 ledger "
            "verify prints it"
        )
    return LedgerHead(int(found[1]), found[2])
