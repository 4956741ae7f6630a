"""Refuses requests that a web page sends from a browser on this machine.

A browser adds `Origin` to what a page posts elsewhere, and `Sec-Fetch-Site` to all it sends. A page
whose name was pointed to 127.0.0.1 (DNS rebinding) is of the same origin, but its `Host` is no
loopback name.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.rest.request_faults import Handler

_FETCH_SITE = "Sec-Fetch-Site"
_OWN_SITES = frozenset({"same-origin", "none"})


@web.middleware
async def refuse_foreign_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    reason = foreign_reason(
        request.headers.getall(hdrs.HOST, []),
        request.headers.getall(hdrs.ORIGIN, []),
        request.headers.getall(_FETCH_SITE, []),
    )
    if reason:
        text = f"refused: {reason}; the control plane takes requests of this machine's programs"
        return json_reply({"error": text}, 403)
    return await handler(request)


def foreign_reason(hosts: list[str], origins: list[str], sites: list[str]) -> str:
    """Why a request with these headers is not of a program of this machine; empty if it may be."""
    if len(hosts) != 1 or not _is_loopback(hosts[0]):
        return f"Host {', '.join(hosts)!r} is no loopback name; use 127.0.0.1 or localhost"
    if any(origin != f"http://{hosts[0]}" for origin in origins):
        return f"Origin {', '.join(origins)!r} is another site"
    if any(site not in _OWN_SITES for site in sites):
        return f"{_FETCH_SITE} {', '.join(sites)!r} is another site"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
        if name is None or parts.netloc != host or "@" in host:
            return False
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
