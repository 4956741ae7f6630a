"""Checks that a node accepts writes."""

from collections.abc import Callable
from typing import Final

import hiredis

from chimera_s1.adapters.redis.publisher.node_client import NodeClient
from chimera_s1.adapters.redis.publisher.node_connection import Replies
from chimera_s1.adapters.redis.publisher.quote_encoder import encode_command, error_reply_text

_PROBE_COMMANDS: Final = (encode_command("PING") + encode_command("CLUSTER", "INFO")).encode()
_PROBE_REPLIES: Final = 2

_STATE_FIELD = b"cluster_state:"


class NodeProbe:
    """One request to *client*, which must be ready; *on_reply* is called after the reply.

    Attributes:
        problem: None until the reply; empty if the node accepts writes.
    """

    def __init__(self, client: NodeClient, on_reply: Callable[[NodeClient], None]) -> None:
        self.problem: str | None = None
        self._client = client
        self._on_reply = on_reply
        client.send(_PROBE_COMMANDS, _PROBE_REPLIES, self._on_replies)

    def _on_replies(self, replies: Replies | None) -> None:
        self._client.overdue = False
        # A node may answer PING and refuse every write: out of memory, too few replicas.
        refusals = (self._client.write_error, *self._client.stream_errors.values())
        problem = _probe_problem(replies) or next(filter(None, refusals), "")
        self.problem = f"Redis {self._client.name}: {problem}" if problem else ""
        self._on_reply(self._client)


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
