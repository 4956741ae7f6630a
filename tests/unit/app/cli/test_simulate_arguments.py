from decimal import Decimal

import pytest

from chimera_s1.adapters.simulator.config import HeldPosition, S10Config
from chimera_s1.app.cli.simulate.arguments import read_positions, read_s10
from chimera_s1.domain.errors import ConfigurationError


def test_the_stand_in_of_s10_runs_only_where_it_is_wanted() -> None:
    assert read_s10(wanted=False, port=0, redis="") is None
    assert read_s10(wanted=True, port=9, redis="a:1,b:2") == S10Config(port=9, redis="a:1,b:2")


@pytest.mark.parametrize(
    ("wanted", "port", "redis", "words"),
    [
        (False, 9, "", "--s10-port and --s10-redis need --s10"),
        (False, 0, "a:1", "--s10-port and --s10-redis need --s10"),
        (True, 0, "localhost", "--s10-redis: 'localhost' is not host:port"),
    ],
)
def test_bad_options_of_the_stand_in_are_named(
    wanted: bool,
    port: int,
    redis: str,
    words: str,
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_s10(wanted=wanted, port=port, redis=redis)


def test_positions_are_long_or_short_and_may_name_an_asset() -> None:
    assert read_positions("") == ()
    assert read_positions("btcusdt=0.5, 币安人生USDT=-20:BNB") == (
        HeldPosition("BTCUSDT", Decimal("0.5")),
        HeldPosition("币安人生USDT", Decimal(-20), "BNB"),
    )


@pytest.mark.parametrize("text", ["BTCUSDT", "BTCUSDT=", "BTCUSDT=1e9", "A=1,B=x", "A=1:bnb"])
def test_a_bad_position_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a position; write the symbol"):
        read_positions(text)
