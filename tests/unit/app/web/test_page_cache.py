"""Pages that are rendered once for many requests."""

import pytest

from chimera_s1.app.web.page_cache import KEPT_MS, PageCache
from tests.fakes.manual_clock import ManualClock


async def test_a_page_is_rendered_once_a_second() -> None:
    clock = ManualClock()
    rendered: list[int] = []

    def render() -> bytes:
        rendered.append(clock.now_ms())
        return b"page %d" % len(rendered)

    page = PageCache(render, clock)

    assert {page() for _ in range(100)} == {b"page 1"}
    await clock.advance(KEPT_MS - 1)
    assert page() == b"page 1"
    await clock.advance(1)
    assert {page() for _ in range(100)} == {b"page 2"}
    assert len(rendered) == 2


async def test_a_failure_is_not_kept() -> None:
    pages: list[bytes] = []
    page = PageCache(pages.pop, ManualClock())

    with pytest.raises(IndexError):
        page()
    pages.append(b"page")
    assert page() == b"page"
