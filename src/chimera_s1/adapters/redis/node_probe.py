"""
Does a node take writes?
"""

from typing import Final

import hiredis

from chimera_s1.adapters.redis.node_connection import Replies
from chimera_s1.adapters.redis.resp import command, refusal_text

PROBE: Final = (command("PING") + command("CLUSTER", "INFO")).encode()
PROBE_REPLIES: Final = 2

_STATE = b"cluster_state:"


def probe_defect(replies: Replies | None) -> str:
    """
    What is wrong, for people; empty where nothing is.

    PING of a Redis that may not write (MISCONF) fails by itself; CLUSTER INFO says whether the
    slots are served.

    Args:
        replies: To `PROBE`; None where the connection ended first.
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
