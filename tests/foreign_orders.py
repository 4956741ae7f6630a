"""Orders that others place on the account: by the web site, or by a program with the same key."""

from typing import Any

from chimera_s1.domain.ports.clock import Clock
from tests.contract.signed_client import Account
from tests.simulator_client import SimulatorClient

Body = dict[str, Any]

_NAMES = {
    "qty": "quantity",
    "price": "price",
    "stop_price": "stopPrice",
    "time_in_force": "timeInForce",
    "client_id": "newClientOrderId",
    "position_side": "positionSide",
}
_LEG_NAMES = {"type": "Type", "price": "Price", "stop_price": "StopPrice"}


class ForeignTrader:
    """Takes the bodies of `POST /sim/orders`; *clock* is the exchange's."""

    def __init__(self, sim: SimulatorClient, clock: Clock) -> None:
        self._sim = sim
        self._account = Account(sim, clock=clock)

    async def place_by_web(self, body: Body) -> bool:
        status, _ = await self._sim.control("POST", "/sim/orders", body)
        return status == 201

    async def place_by_api(self, body: Body) -> bool:
        """A lost reply counts as placed."""
        path, parameters = api_request(body)
        try:
            status, _ = await self._account.send(
                "POST", path, body=self._account.signed(**parameters)
            )
        except Exception:  # noqa: BLE001 (the fault decides how the reply is lost)
            return True
        return status == 200


def api_request(body: Body) -> tuple[str, Body]:
    """Path and parameters of the same order at the REST API."""
    head = {"symbol": body["symbol"], "side": body["side"]}
    if "above" in body:
        legs = {
            f"{side}{_LEG_NAMES[name]}": value
            for side in ("above", "below")
            for name, value in body[side].items()
        }
        return "/api/v3/orderList/oco", {**head, "quantity": body["qty"], **legs}
    named = {_NAMES[name]: value for name, value in body.items() if name in _NAMES}
    if body["venue"] == "spot":
        return "/api/v3/order", {**head, "type": body["type"], **named}
    if body["type"] != "STOP_MARKET":
        return "/fapi/v1/order", {**head, "type": body["type"], **named}
    named["triggerPrice"] = named.pop("stopPrice")
    if "newClientOrderId" in named:
        named["clientAlgoId"] = named.pop("newClientOrderId")
    return "/fapi/v1/algoOrder", {
        **head,
        "type": body["type"],
        "algoType": "CONDITIONAL",
        **named,
    }
