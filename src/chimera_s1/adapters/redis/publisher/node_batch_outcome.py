"""The replies to a node batch, sorted into acknowledged, redirected and refused quotes."""

from collections.abc import Iterator

import hiredis
from msgspec import Struct, field

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.publisher.node_client import NodeBatch
from chimera_s1.adapters.redis.publisher.node_connection import Replies
from chimera_s1.adapters.redis.publisher.quote_encoder import Redirect, error_reply_text
from chimera_s1.adapters.redis.quote_entry import ID_REFUSED
from chimera_s1.domain.identifiers import InstrumentId

_BUSY_ERRORS = ("TRYAGAIN", "CLUSTERDOWN", "LOADING")
_STALE_SLOT_MAP_ERRORS = ("CLUSTERDOWN", "READONLY", "MASTERDOWN")


class NodeBatchOutcome(Struct):
    """Quotes are given by their positions in the batch.

    Attributes:
        already_there: How many of *acknowledged* an earlier attempt had written.
        ids_refused: Not above the last id of their stream, and never sent before.
        redirected: In order; the quotes of one stream have one target.
        error: The first error that is not a redirect; empty if there is none.
        stream_errors: Errors about the stream itself: the node accepts other writes.
        slot_map_stale: Whether an error shows that this node does not serve the slot.
    """

    acknowledged: list[int] = field(default_factory=list)
    already_there: int = 0
    ids_refused: list[int] = field(default_factory=list)
    redirected: dict[int, Redirect] = field(default_factory=dict)
    moved_replies: int = 0
    ask_replies: int = 0
    busy_replies: int = 0
    error: str = ""
    stream_errors: dict[InstrumentId, str] = field(default_factory=dict)
    slot_map_stale: bool = False


def match_replies(
    node_batch: NodeBatch, replies: Replies, sender: RedisAddress
) -> NodeBatchOutcome:
    """Match *replies*, one per quote and one per ASKING, to the quotes of *node_batch*."""
    if not node_batch.asking and hiredis.ReplyError not in set(map(type, replies)):
        return NodeBatchOutcome(acknowledged=node_batch.positions)
    outcome = NodeBatchOutcome()
    targets: dict[InstrumentId, Redirect] = {}
    for position, reply in _quote_replies(node_batch, replies):
        if not isinstance(reply, hiredis.ReplyError):
            outcome.acknowledged.append(position)
            continue
        if ID_REFUSED in str(reply):
            _record_id_refusal(outcome, position, sent_before=position in node_batch.sent_before)
            continue
        redirect = Redirect.parse(str(reply), sender)
        if redirect is None:
            _record_error(outcome, node_batch.batch.quotes[position].instrument, str(reply))
            continue
        outcome.moved_replies += redirect.moved
        outcome.ask_replies += not redirect.moved
        # A slot that moves within this batch must not send one stream to two nodes.
        instrument = node_batch.batch.quotes[position].instrument
        outcome.redirected[position] = targets.setdefault(instrument, redirect)
    _drop_superseded(node_batch, outcome)
    return outcome


def _quote_replies(node_batch: NodeBatch, replies: Replies) -> Iterator[tuple[int, object]]:
    remaining = iter(replies)
    for position in node_batch.positions:
        if position in node_batch.asking:
            # If ASKING failed, the reply to the command after it is a redirect or an error.
            next(remaining)
        yield position, next(remaining)


def _record_id_refusal(outcome: NodeBatchOutcome, position: int, *, sent_before: bool) -> None:
    if sent_before:
        outcome.acknowledged.append(position)
        outcome.already_there += 1
    else:
        outcome.ids_refused.append(position)


def _record_error(outcome: NodeBatchOutcome, instrument: InstrumentId, text: str) -> None:
    if text.startswith("WRONGTYPE"):
        text = f"{quote_stream(instrument)}: {text}"
        outcome.stream_errors[instrument] = text
    outcome.busy_replies += text.startswith(_BUSY_ERRORS)
    outcome.slot_map_stale |= text.startswith(_STALE_SLOT_MAP_ERRORS)
    outcome.error = outcome.error or error_reply_text(text)


def _drop_superseded(node_batch: NodeBatch, outcome: NodeBatchOutcome) -> None:
    """Drop a redirected quote if a newer one was acknowledged: the slot came back in between."""
    quotes = node_batch.batch.quotes
    newest = {(quotes[p].instrument, quotes[p].source): p for p in outcome.acknowledged}
    outcome.redirected = {
        position: redirect
        for position, redirect in outcome.redirected.items()
        if newest.get((quotes[position].instrument, quotes[position].source), -1) < position
    }
