"""Which stream names deliver, where, and how often."""

import pytest

from chimera_s1.adapters.simulator.streams.stream_names import (
    ConnectionPath,
    StreamKind,
    StreamRoute,
    parse_path,
    parse_stream,
)
from chimera_s1.domain.identifiers import Venue

SPOT, PERP = Venue.SPOT, Venue.PERP


@pytest.mark.parametrize(
    ("venue", "name", "expected"),
    [
        (SPOT, "btcusdt@bookTicker", (StreamKind.BOOK_TICKER, StreamRoute.SPOT, 0, 0)),
        (SPOT, "btcusdt@depth5", (StreamKind.PARTIAL_DEPTH, StreamRoute.SPOT, 1000, 5)),
        (SPOT, "btcusdt@depth20@100ms", (StreamKind.PARTIAL_DEPTH, StreamRoute.SPOT, 100, 20)),
        (SPOT, "btcusdt@depth", (StreamKind.DIFF_DEPTH, StreamRoute.SPOT, 1000, 0)),
        (SPOT, "btcusdt@aggTrade", (StreamKind.AGG_TRADE, StreamRoute.SPOT, 100, 0)),
        (PERP, "btcusdt@bookTicker", (StreamKind.BOOK_TICKER, StreamRoute.PUBLIC, 0, 0)),
        (PERP, "btcusdt@depth10", (StreamKind.PARTIAL_DEPTH, StreamRoute.PUBLIC, 250, 10)),
        (PERP, "btcusdt@depth@500ms", (StreamKind.DIFF_DEPTH, StreamRoute.PUBLIC, 500, 0)),
        (PERP, "btcusdt@aggTrade", (StreamKind.AGG_TRADE, StreamRoute.MARKET, 100, 0)),
        (PERP, "btcusdt@markPrice", (StreamKind.MARK_PRICE, StreamRoute.MARKET, 3000, 0)),
        (PERP, "btcusdt@markPrice@1s", (StreamKind.MARK_PRICE, StreamRoute.MARKET, 1000, 0)),
        (PERP, "!bookTicker", (StreamKind.ALL_BOOK_TICKERS, StreamRoute.PUBLIC, 5000, 0)),
        (PERP, "!markPrice@arr@1s", (StreamKind.ALL_MARK_PRICES, StreamRoute.MARKET, 1000, 0)),
    ],
)
def test_a_valid_stream_name_is_parsed(
    venue: Venue, name: str, expected: tuple[StreamKind, StreamRoute, int, int]
) -> None:
    stream = parse_stream(venue, name)

    assert stream is not None
    assert (stream.kind, stream.route, stream.period_ms, stream.levels) == expected


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        (SPOT, "BTCUSDT@bookTicker"),
        (SPOT, "btcusdt@bookticker"),
        (SPOT, "btcusdt@depth7"),
        (SPOT, "btcusdt@depth5@500ms"),
        (SPOT, "btcusdt@markPrice"),
        (SPOT, "!bookTicker"),
        (PERP, "btcusdt@depth@250ms"),
        (PERP, "btcusdt@markPrice@3s"),
        (PERP, "btcusdt"),
        (PERP, "@bookTicker"),
    ],
)
def test_a_misspelt_stream_name_is_not_parsed(venue: Venue, name: str) -> None:
    assert parse_stream(venue, name) is None


@pytest.mark.parametrize(
    ("venue", "target", "expected"),
    [
        (SPOT, "/ws", ConnectionPath(StreamRoute.SPOT, combined=False, streams=())),
        (
            SPOT,
            "/ws/a@x/b@y",
            ConnectionPath(StreamRoute.SPOT, combined=False, streams=("a@x", "b@y")),
        ),
        (SPOT, "/stream", ConnectionPath(StreamRoute.SPOT, combined=True, streams=())),
        (
            SPOT,
            "/stream?timeUnit=x&streams=a%40x/b@y",
            ConnectionPath(StreamRoute.SPOT, combined=True, streams=("a@x", "b@y")),
        ),
        (PERP, "/public/ws", ConnectionPath(StreamRoute.PUBLIC, combined=False, streams=())),
        (
            PERP,
            "/market/stream?streams=a@x",
            ConnectionPath(StreamRoute.MARKET, combined=True, streams=("a@x",)),
        ),
        (
            PERP,
            "/private/ws/key",
            ConnectionPath(StreamRoute.PRIVATE, combined=False, streams=("key",)),
        ),
        (
            PERP,
            "/private/stream?listenKey=one&events=A/B&listenKey=two",
            ConnectionPath(
                StreamRoute.PRIVATE,
                combined=True,
                streams=("one", "two"),
                user_events={"one": frozenset({"A", "B"}), "two": None},
            ),
        ),
        (
            PERP,
            "/ws?listenKey=one",
            ConnectionPath(StreamRoute.PUBLIC, combined=False, streams=()),
        ),
        (PERP, "/ws/a@x", ConnectionPath(StreamRoute.PUBLIC, combined=False, streams=("a@x",))),
        (SPOT, "/public/ws", None),
        (SPOT, "/", None),
        (PERP, "/other/ws", None),
    ],
)
def test_a_path_gives_route_shape_and_streams(
    venue: Venue, target: str, expected: ConnectionPath | None
) -> None:
    assert parse_path(venue, target) == expected
