import pytest

from chimera_s1.adapters.simulator.config import S10Config
from chimera_s1.app.cli.simulate.arguments import read_s10
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
