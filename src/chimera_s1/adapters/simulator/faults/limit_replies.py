"""What the faults `rate-limit` and `ban` reply, to a request and to an upgrade alike."""

from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply, banned, refused


def limit_reply(action: FaultAction, now_ms: int) -> LimitReply:
    """The reply to what `rate-limit` or `ban` refuses at *now_ms*, exchange time.

    A ban is announced in the body only.
    """
    if action.kind is FaultKind.BAN:
        return banned(now_ms + action.number * 1000)
    return refused("Too many requests.", action.number)
