"""Do the nodes take writes?"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import hiredis

from chimera_s1.adapters.redis.node_client import NodeLane
from chimera_s1.adapters.redis.node_connection import Replies
from chimera_s1.adapters.redis.quote_encoder import command, refusal_text

_PROBE: Final = (command("PING") + command("CLUSTER", "INFO")).encode()
_REPLIES: Final = 2

_STATE = b"cluster_state:"


class NodeProbe:
    """One question to each of the nodes, all of them ready."""

    def __init__(self, lanes: Iterable[NodeLane], on_answer: Callable[[NodeLane], None]) -> None:
        """Args:
        lanes: Of the nodes.

        on_answer: Told after each answer.
        """
        self._defects: list[str] = []
        self._on_answer = on_answer
        self._asked = tuple(lanes)
        for lane in self._asked:
            lane.send(_PROBE, _REPLIES, partial(self._settle, lane))

    @property
    def done(self) -> bool:
        """Whether all have answered."""
        return len(self._defects) == len(self._asked)

    @property
    def defect(self) -> str:
        """The first thing that is wrong, for people; empty where nothing is."""
        return next(filter(None, self._defects), "")

    def _settle(self, lane: NodeLane, replies: Replies | None) -> None:
        lane.late = False
        defect = probe_defect(replies) or lane.refusal
        self._defects.append(f"Redis {lane.address}: {defect}" if defect else "")
        self._on_answer(lane)


def probe_defect(replies: Replies | None) -> str:
    """What is wrong, for people; empty where nothing is.

    PING of a Redis that may not write (MISCONF) fails by itself; CLUSTER INFO says whether the
    slots are served.

    Args:
        replies: To PING and CLUSTER INFO; None where the connection ended first.
    """
    if replies is None:
        return "the connection ended without an answer"
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            return refusal_text(str(reply))
    info = replies[-1]
    assert isinstance(info, bytes), "CLUSTER INFO is a bulk string"
    state = info.partition(_STATE)[2].split(maxsplit=1)[0].decode()
    return "" if state == "ok" else f"cluster_state is {state}"
