"""ccxt pointed at a running simulator: its addresses are changed, and nothing else."""

from collections.abc import Mapping
from typing import Any

_REST_HOSTS = {
    "https://api.binance.com": "spot_rest_url",
    "https://fapi.binance.com": "perp_rest_url",
    "https://dapi.binance.com": "perp_rest_url",
}
_STREAM_HOSTS = {
    "wss://stream.binance.com:9443": "spot_ws_url",
    "wss://fstream.binance.com": "perp_ws_url",
}


def point_at_simulator(client: Any, ready: Mapping[str, str]) -> Any:
    """*client* with the simulator's addresses.

    Those that the simulator does not have (options, portfolio margin) lead nowhere, so that no
    test can reach Binance.
    """
    client.urls["api"] = {
        name: _redirected(address, ready) for name, address in client.urls["api"].items()
    }
    return client


def _redirected(address: Any, ready: Mapping[str, str]) -> Any:
    if isinstance(address, dict):
        return {name: _redirected(each, ready) for name, each in address.items()}
    for host, name in _REST_HOSTS.items():
        if address.startswith(host):
            return address.replace(host, ready[name])
    for host, name in _STREAM_HOSTS.items():
        if address.startswith(host):
            # ccxt recognizes spot by "/stream" in the address (stream.binance.com): as a user name.
            user = "//stream@" if name == "spot_ws_url" else "//"
            return address.replace(host, ready[name].replace("//", user))
    return "http://127.0.0.1:9"
