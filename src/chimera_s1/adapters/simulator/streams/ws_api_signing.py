"""Verifies signed requests of the spot WebSocket API.

Binance, WebSocket API "Request security": all parameters but the signature, sorted by name, as
`k=v&k=v` in UTF-8, *not* percent-encoded, unlike REST.
"""

import hmac
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.parameters import invalid_parameter, required
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.signing import (
    RECV_WINDOW_MAX_MS,
    RECV_WINDOW_MS,
    SignedRequest,
    check_key,
    signature_of,
)


def verify_ws_api(sent: Mapping[str, Any], api_key: ApiKey, now_ms: int) -> None:
    """Check key, signature and time of the parameters *sent*.

    Raises:
        BinanceError: -2014, -2015, -1102, -1100, -1130, -1131, -1022 or -1021.
    """
    parameters = {name: str(value) for name, value in sent.items()}
    check_key(parameters.get("apiKey", ""), api_key)
    timestamp_ms = int(required(parameters, "timestamp", r"[0-9]{1,16}"))
    recv_window_ms = _recv_window(parameters)
    signature = required(parameters, "signature", r".*")
    names = sorted(name for name in parameters if name != "signature")
    payload = "&".join(f"{name}={parameters[name]}" for name in names)
    expected = signature_of(api_key.secret, payload.encode())
    if not hmac.compare_digest(signature.lower().encode(), expected.encode()):
        raise BinanceError(-1022, "Signature for this request is not valid.")
    SignedRequest(parameters, timestamp_ms, recv_window_ms).check_time(now_ms)


def _recv_window(parameters: Mapping[str, str]) -> int:
    try:
        window = Decimal(parameters.get("recvWindow", RECV_WINDOW_MS))
    except InvalidOperation:
        raise invalid_parameter("recvWindow") from None
    if not window.is_finite() or window < 0:
        raise invalid_parameter("recvWindow")
    if window > RECV_WINDOW_MAX_MS:
        raise BinanceError(-1131, "recvWindow must be less than 60000")
    return math.ceil(window)
