"""What became of a share: acknowledged, to be sent elsewhere, or refused."""

from collections.abc import Iterator

import hiredis
from msgspec import Struct, field

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.publisher.node_client import NodeBatch
from chimera_s1.adapters.redis.publisher.node_connection import Replies
from chimera_s1.adapters.redis.publisher.quote_encoder import Redirect, error_reply_text
from chimera_s1.domain.identifiers import InstrumentId

_BUSY_ERRORS = ("TRYAGAIN", "CLUSTERDOWN", "LOADING")
_STALE_SLOT_MAP_ERRORS = ("CLUSTERDOWN", "READONLY", "MASTERDOWN")


class NodeBatchOutcome(Struct):
    """The answers to a share.

    Attributes:
        acknowledged: Positions that are on their streams.

        redirected: Positions to be sent elsewhere, in order; those of one stream to one node.

        moved_replies: MOVED replies.

        ask_replies: ASK replies.

        busy_replies: TRYAGAIN, CLUSTERDOWN and LOADING replies.

        error: The first error reply that was no redirect, for people; empty for none.

        slot_map_stale: Whether an error says that the node is not who should be asked.
    """

    acknowledged: list[int] = field(default_factory=list)
    redirected: dict[int, Redirect] = field(default_factory=dict)
    moved_replies: int = 0
    ask_replies: int = 0
    busy_replies: int = 0
    error: str = ""
    slot_map_stale: bool = False


def match_replies(
    node_batch: NodeBatch, replies: Replies, sender: RedisAddress
) -> NodeBatchOutcome:
    """Match *replies* to the quotes of *node_batch*.

    Args:
        node_batch: What was sent.

        replies: One for each of its quotes, and one for each ASKING before it.

        sender: The node that answered.
    """
    if not node_batch.asking and hiredis.ReplyError not in set(map(type, replies)):
        return NodeBatchOutcome(acknowledged=node_batch.positions)
    outcome = NodeBatchOutcome()
    targets: dict[InstrumentId, Redirect] = {}
    for position, reply in _matched(node_batch, replies):
        if not isinstance(reply, hiredis.ReplyError):
            outcome.acknowledged.append(position)
            continue
        redirect = Redirect.parse(str(reply), sender)
        if redirect is None:
            _record_error(outcome, str(reply))
            continue
        outcome.moved_replies += redirect.moved
        outcome.ask_replies += not redirect.moved
        # A slot that changes hands within the share must not send one stream two ways.
        instrument = node_batch.batch.quotes[position].instrument
        outcome.redirected[position] = targets.setdefault(instrument, redirect)
    _drop_superseded(node_batch, outcome)
    return outcome


def _matched(node_batch: NodeBatch, replies: Replies) -> Iterator[tuple[int, object]]:
    each = iter(replies)
    for position in node_batch.positions:
        if position in node_batch.asking:
            # OK; where it is not, the command behind it is answered with a redirect or an error.
            next(each)
        yield position, next(each)


def _record_error(outcome: NodeBatchOutcome, text: str) -> None:
    outcome.busy_replies += text.startswith(_BUSY_ERRORS)
    outcome.slot_map_stale |= text.startswith(_STALE_SLOT_MAP_ERRORS)
    outcome.error = outcome.error or error_reply_text(text)


def _drop_superseded(node_batch: NodeBatch, outcome: NodeBatchOutcome) -> None:
    """Forget a redirected quote whose successor was taken (the slot came back meanwhile)."""
    quotes = node_batch.batch.quotes
    newest = {(quotes[p].instrument, quotes[p].source): p for p in outcome.acknowledged}
    outcome.redirected = {
        position: redirect
        for position, redirect in outcome.redirected.items()
        if newest.get((quotes[position].instrument, quotes[position].source), -1) < position
    }
