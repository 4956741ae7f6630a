"""What became of a share: acknowledged, to be sent elsewhere, or refused."""

from collections.abc import Iterator

import hiredis
from msgspec import Struct, field

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.node_client import Share
from chimera_s1.adapters.redis.node_connection import Replies
from chimera_s1.adapters.redis.quote_encoder import Redirect, refusal_text
from chimera_s1.domain.identifiers import InstrumentId

_BUSY = ("TRYAGAIN", "CLUSTERDOWN", "LOADING")
_WRONG_NODE = ("CLUSTERDOWN", "READONLY", "MASTERDOWN")


class Outcome(Struct):
    """The answers to a share.

    Attributes:
        acknowledged: Positions that are on their streams.

        redirected: Positions to be sent elsewhere, in order; those of one stream to one node.

        moved: MOVED replies.

        asked: ASK replies.

        busy: TRYAGAIN, CLUSTERDOWN and LOADING replies.

        refusal: The first error reply that was no redirect, for people; empty for none.

        map_doubtful: Whether an error says that the node is not who should be asked.
    """

    acknowledged: list[int] = field(default_factory=list)
    redirected: dict[int, Redirect] = field(default_factory=dict)
    moved: int = 0
    asked: int = 0
    busy: int = 0
    refusal: str = ""
    map_doubtful: bool = False


def sort_replies(share: Share, replies: Replies, asked: RedisAddress) -> Outcome:
    """Match *replies* to the quotes of *share*.

    Args:
        share: What was sent.

        replies: One for each of its quotes, and one for each ASKING before it.

        asked: The node that answered.
    """
    if not share.asking and hiredis.ReplyError not in set(map(type, replies)):
        return Outcome(acknowledged=share.positions)
    outcome = Outcome()
    targets: dict[InstrumentId, Redirect] = {}
    for position, reply in _matched(share, replies):
        if not isinstance(reply, hiredis.ReplyError):
            outcome.acknowledged.append(position)
            continue
        redirect = Redirect.parse(str(reply), asked)
        if redirect is None:
            _refuse(outcome, str(reply))
            continue
        outcome.moved += redirect.moved
        outcome.asked += not redirect.moved
        # A slot that changes hands within the share must not send one stream two ways.
        instrument = share.batch.quotes[position].instrument
        outcome.redirected[position] = targets.setdefault(instrument, redirect)
    _drop_superseded(share, outcome)
    return outcome


def _matched(share: Share, replies: Replies) -> Iterator[tuple[int, object]]:
    each = iter(replies)
    for position in share.positions:
        if position in share.asking:
            # OK; where it is not, the command behind it is answered with a redirect or an error.
            next(each)
        yield position, next(each)


def _refuse(outcome: Outcome, text: str) -> None:
    outcome.busy += text.startswith(_BUSY)
    outcome.map_doubtful |= text.startswith(_WRONG_NODE)
    outcome.refusal = outcome.refusal or refusal_text(text)


def _drop_superseded(share: Share, outcome: Outcome) -> None:
    """Forget a redirected quote whose successor was taken (the slot came back meanwhile)."""
    quotes = share.batch.quotes
    newest = {(quotes[p].instrument, quotes[p].source): p for p in outcome.acknowledged}
    outcome.redirected = {
        position: redirect
        for position, redirect in outcome.redirected.items()
        if newest.get((quotes[position].instrument, quotes[position].source), -1) < position
    }
