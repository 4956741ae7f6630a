"""Do the nodes take writes?"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import hiredis

from chimera_s1.adapters.redis.publisher.node_client import NodeClient
from chimera_s1.adapters.redis.publisher.node_connection import Replies
from chimera_s1.adapters.redis.publisher.quote_encoder import encode_command, error_reply_text

_PROBE_COMMANDS: Final = (encode_command("PING") + encode_command("CLUSTER", "INFO")).encode()
_PROBE_REPLIES: Final = 2

_STATE_FIELD = b"cluster_state:"


class NodeProbe:
    """One question to each of the nodes, all of them ready."""

    def __init__(
        self, clients: Iterable[NodeClient], on_reply: Callable[[NodeClient], None]
    ) -> None:
        """Args:
        clients: Of the nodes.

        on_reply: Told after each answer.
        """
        self._problems: list[str] = []
        self._on_answer = on_reply
        self._clients = tuple(clients)
        for lane in self._clients:
            lane.send(_PROBE_COMMANDS, _PROBE_REPLIES, partial(self._on_replies, lane))

    @property
    def done(self) -> bool:
        """Whether all have answered."""
        return len(self._problems) == len(self._clients)

    @property
    def problem(self) -> str:
        """The first thing that is wrong, for people; empty where nothing is."""
        return next(filter(None, self._problems), "")

    def _on_replies(self, client: NodeClient, replies: Replies | None) -> None:
        client.overdue = False
        defect = probe_problem(replies) or client.write_error
        self._problems.append(f"Redis {client.address}: {defect}" if defect else "")
        self._on_answer(client)


def probe_problem(replies: Replies | None) -> str:
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
            return error_reply_text(str(reply))
    info = replies[-1]
    assert isinstance(info, bytes), "CLUSTER INFO is a bulk string"
    state = info.partition(_STATE_FIELD)[2].split(maxsplit=1)[0].decode()
    return "" if state == "ok" else f"cluster_state is {state}"
