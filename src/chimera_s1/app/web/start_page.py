"""`/`: where a person who opens the address in a browser finds the rest."""

from html import escape

from litestar import MediaType, get

from chimera_s1 import __version__
from chimera_s1.app.web.schema_page import NO_SCRIPTS, STYLE

_LINKS = (
    ("/health", "the level of every component, and what to do about a problem"),
    ("/ready", "whether every required component works"),
    ("/metrics", "counters and gauges for Prometheus"),
    ("/schema", "every path of the API, with examples; most need a token"),
)
_PAGE = (
    f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
    f'<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>Chimera S1</title><style>{STYLE}</style></head><body>"
    f"<h1>Chimera S1 {escape(__version__)}</h1>"
    f"<p>The exchange connector: Binance market data on Redis Streams, and transfers.</p><table>"
    + "".join(
        f'<tr><td><a href="{path}"><code>{path}</code></a></td><td>{escape(text)}</td></tr>'
        for path, text in _LINKS
    )
    + "</table></body></html>"
)


@get(
    "/",
    opt={"public": True},
    include_in_schema=False,
    media_type=MediaType.HTML,
    response_headers={"Content-Security-Policy": NO_SCRIPTS},
    sync_to_thread=False,
)
def read_start_page() -> str:
    return _PAGE
