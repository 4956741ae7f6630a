"""
What a frame fault makes of one payload.
"""

from typing import Any

import orjson

from chimera_s1.adapters.simulator.fault_actions import Action, Deed

_SIDES = (("b", "a"), ("B", "A"), ("bids", "asks"))


def distort(payload: bytes, action: Action) -> tuple[bytes, ...]:
    """
    The payloads to send in place of *payload*: none for stall and gap, two for duplicate.
    """
    match action.deed:
        case Deed.STALL | Deed.GAP:
            return ()
        case Deed.DUPLICATE:
            return (payload, payload)
        case Deed.MALFORMED:
            return (payload[: len(payload) // 2],)
        case Deed.CROSSED:
            return (_crossed(payload),)
        case _:
            return (payload,)


def _crossed(payload: bytes) -> bytes:
    message: Any = orjson.loads(payload)
    if not isinstance(message, dict):
        return payload
    for bid, ask in _SIDES:
        if bid in message and ask in message:
            message[bid], message[ask] = message[ask], message[bid]
    return orjson.dumps(message)
