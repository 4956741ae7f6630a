"""Pages that are rendered once for many requests."""

from collections.abc import Callable
from typing import Any

from litestar.openapi.plugins import OpenAPIRenderPlugin

from chimera_s1.app.web.problems import AnyRequest
from chimera_s1.domain.ports.clock import Clock

KEPT_MS = 1_000


class PageCache:
    """A page is kept for `KEPT_MS`; *render* does not wait, so there is one rendering at a time."""

    def __init__(self, render: Callable[[], bytes], clock: Clock) -> None:
        self._render = render
        self._clock = clock
        self._page = b""
        self._rendered_ms: float | None = None

    def __call__(self) -> bytes:
        """The page, not older than `KEPT_MS`."""
        now_ms = self._clock.monotonic_ms()
        if self._rendered_ms is None or now_ms - self._rendered_ms >= KEPT_MS:
            self._page = self._render()
            self._rendered_ms = now_ms
        return self._page


class RenderedOnce(OpenAPIRenderPlugin):
    """Renders *plugin* on the first request; the description does not change."""

    def __init__(self, plugin: OpenAPIRenderPlugin) -> None:
        super().__init__(path=plugin.paths, media_type=plugin.media_type)
        self._plugin = plugin
        self._page: bytes | None = None

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        if self._page is None:
            self._page = self._plugin.render(request, openapi_schema)
        return self._page
