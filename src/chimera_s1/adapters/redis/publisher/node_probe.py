"""Checks that nodes accept writes."""

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
    """One request to each of *clients*, which must be ready; *on_reply* is called after each."""

    def __init__(
        self, clients: Iterable[NodeClient], on_reply: Callable[[NodeClient], None]
    ) -> None:
        self._problems: list[str] = []
        self._on_reply = on_reply
        self._clients = tuple(clients)
        for client in self._clients:
            client.send(_PROBE_COMMANDS, _PROBE_REPLIES, partial(self._on_replies, client))

    @property
    def done(self) -> bool:
        return len(self._problems) == len(self._clients)

    @property
    def problem(self) -> str:
        """The first problem found; empty if there is none."""
        return next(filter(None, self._problems), "")

    def _on_replies(self, client: NodeClient, replies: Replies | None) -> None:
        client.overdue = False
        problem = _probe_problem(replies) or client.write_error
        self._problems.append(f"Redis {client.address}: {problem}" if problem else "")
        self._on_reply(client)


def _probe_problem(replies: Replies | None) -> str:
    # PING fails if writes are disabled (MISCONF); CLUSTER INFO shows whether all slots are served.
    if replies is None:
        return "connection closed before the reply"
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            return error_reply_text(str(reply))
    info = replies[-1]
    assert isinstance(info, bytes), "CLUSTER INFO is a bulk string"
    state = info.partition(_STATE_FIELD)[2].split(maxsplit=1)[0].decode()
    return "" if state == "ok" else f"cluster_state is {state}"
