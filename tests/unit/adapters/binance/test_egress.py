"""Which hosts may be connected to, and what is shown of the proxy."""

import pytest

from chimera_s1.adapters.binance.egress import DIRECT, Egress, HostNotAllowedError

ALLOWED = Egress(allowed_hosts=frozenset({"api.binance.com"}))


@pytest.mark.parametrize(
    "url",
    ["https://api.binance.com", "wss://API.Binance.com:9443/stream", "http://api.binance.com/x"],
)
def test_an_allowed_host_passes_on_every_port(url: str) -> None:
    ALLOWED.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com.evil.example",
        "https://evil.example/api.binance.com",
        "https://api.binance.com@evil.example",
        "https://xapi.binance.com",
        "http://[::1",
        "",
    ],
)
def test_anything_else_is_refused_without_another_error(url: str) -> None:
    """A URL that cannot be read too: a transfer to it was certainly not sent."""
    with pytest.raises(HostNotAllowedError, match="is not in S1_EGRESS_ALLOW"):
        ALLOWED.check(url)


def test_without_a_list_every_url_passes() -> None:
    """Also one that cannot be read: the client refuses it."""
    DIRECT.check("http://[::1")


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("", ""),
        ("http://10.0.0.9:3128", "http://10.0.0.9:3128"),
        ("http://me:hunter2@10.0.0.9:3128", "http://***@10.0.0.9:3128"),
    ],
)
def test_a_proxy_is_shown_without_its_credentials(proxy: str, shown: str) -> None:
    egress = Egress(proxy)
    assert egress.shown_proxy == shown
    assert "hunter2" not in repr(egress) + egress.proxy_failure("refused")
