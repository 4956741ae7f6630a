"""The control plane's routes for rate limits and bans."""

from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct, field

from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import RULES, Bucket
from chimera_s1.adapters.simulator.rest.replies import json_reply

_LIMIT_MAX = 1_000_000_000
LIMITS_HELP = (
    f"limits: an object of a whole number from 1 for any of {', '.join(Bucket)}; "
    "refusals_before_ban: whole number from 0"
)


class LimitsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/limits`; a missing field changes nothing."""

    limits: dict[Bucket, Annotated[int, Meta(ge=1, le=_LIMIT_MAX)]] = field(default_factory=dict)
    refusals_before_ban: Annotated[int, Meta(ge=0, le=_LIMIT_MAX)] | None = None


class LimitControl:
    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/limits", self._show),
            web.post("/sim/limits", self._change),
            web.delete("/sim/limits", self._forget),
        ]

    def view(self) -> dict[str, Any]:
        """What was counted of each bucket, and who was refused."""
        limits = self._limits
        return {
            "refusals_before_ban": limits.refusals_before_ban,
            "buckets": {bucket.value: self._bucket_view(bucket) for bucket in Bucket},
            "refused": [
                {
                    "server": server.value,
                    "address": address,
                    "refusals": conduct.refusals,
                    "bans": conduct.bans,
                    "while_banned": conduct.while_banned,
                    "banned_until_ms": conduct.banned_until_ms,
                }
                for server, address, conduct in limits.offenders()
            ],
        }

    def _bucket_view(self, bucket: Bucket) -> dict[str, Any]:
        uses = tuple(self._limits.uses(bucket))
        return {
            "limit": self._limits.limit(bucket),
            "window_ms": RULES[bucket].window_ms,
            "counted": sum(use.counted for use in uses),
            "highest": max((use.highest for use in uses), default=0),
            "passed": sum(use.passed for use in uses),
            "by_address": {
                use.address: {
                    "used": use.used,
                    "counted": use.counted,
                    "highest": use.highest,
                    "passed": use.passed,
                }
                for use in uses
            },
        }

    async def _show(self, _: web.Request) -> web.Response:
        return json_reply(self.view())

    async def _change(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), LimitsRequest, LIMITS_HELP)
        self._limits.change(body.limits)
        if body.refusals_before_ban is not None:
            self._limits.refusals_before_ban = body.refusals_before_ban
        return json_reply(self.view())

    async def _forget(self, _: web.Request) -> web.Response:
        self._limits.forget()
        return json_reply(self.view())
