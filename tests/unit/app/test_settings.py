from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.config.effective_settings import SettingOrigin, effective_settings
from chimera_s1.app.embedded_redis import check_redis_is_named, embedded_redis
from chimera_s1.app.foundation import exchange_limits, served_endpoints
from chimera_s1.app.service_settings import Settings, load_settings, variable
from chimera_s1.app.settings.messages import MASK
from chimera_s1.app.settings.types import (
    BinanceEnvironment,
    LogFormat,
    LogLevel,
    RedisWriter,
    parse_base_url,
)
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import Channel, InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import ContractKind, Shard, SymbolFilter
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.limit_name import LimitName
from chimera_s1.domain.operations.rate_limit import RateLimit
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.request_bucket import LimitSource
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, TransferLimits
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming
from tests.unit.app.setting_values import (
    GIVEN,
    SECRET,
    SECRET_SETTINGS,
    SIMULATOR_URLS,
    WRONG,
)


def problems(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(environ)
    return str(raised.value)


def chosen(settings: Settings) -> SymbolFilter:
    assert settings.symbol_filter is not None
    return settings.symbol_filter


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load_settings({})
    assert settings.binance_env is BinanceEnvironment.LIVE
    assert settings.venues == (Venue.SPOT, Venue.PERP)
    assert {str(name) for name in chosen(settings).named} == {
        "spot/BTCUSDT",
        "spot/ETHUSDT",
        "perp/BTCUSDT",
        "perp/ETHUSDT",
    }
    assert chosen(settings).contracts == {ContractKind.PERPETUAL}
    assert settings.channels == (Channel.BOOK_TICKER,)
    assert settings.shard == Shard(0, 1)
    assert settings.redis_addresses == ()
    assert settings.redis_pass is None
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert settings.api_tokens_file is None
    assert settings.rate_limit == RateLimit(per_s=20, burst=40)
    assert settings.state_dir == Path(".chimera")
    assert settings.reconnect_policy == ReconnectPolicy()


def test_every_setting_can_be_given() -> None:
    settings = load_settings(GIVEN)
    assert settings.binance_perp_ws_url == "ws://127.0.0.1:9104"
    assert settings.binance_archive_url == "http://127.0.0.1:9105"
    assert settings.venues == (Venue.PERP, Venue.SPOT)
    assert InstrumentId.parse("spot/BTCUSDT") in chosen(settings).named
    assert InstrumentId.parse("spot/ETHUSDT") not in chosen(settings).named
    assert chosen(settings).contracts == {ContractKind.TRADFI, ContractKind.DATED}
    assert settings.channels == (Channel.DEPTH5, Channel.BOOK_TICKER)
    assert settings.shard == Shard(1, 4)
    assert settings.redis_addresses == (RedisAddress("redis-1", 6379), RedisAddress("::1", 7000))
    assert settings.redis_pass is not None
    assert settings.redis_pass.get_secret_value() == SECRET
    assert settings.redis_tls
    assert settings.redis_tls_key_file == Path("/etc/s1/s1.key")
    assert not settings.redis_tls_check_hostname
    assert settings.redis_writer is RedisWriter.OFFICIAL
    assert settings.kill_switch_interval_ms == 5_000
    assert settings.reconnect_policy == ReconnectPolicy(Backoff(100, 200, 0), 3, 1000)
    assert settings.api_tokens_file == Path("/etc/s1/tokens.json")
    assert settings.rate_limit == RateLimit(per_s=5, burst=10)
    assert (settings.log_format, settings.log_level) == (LogFormat.JSON, LogLevel.DEBUG)
    assert settings.moves_money
    assert settings.treasury_mode is TreasuryMode.SUBACCOUNT
    assert settings.treasury_limits == TransferLimits(
        directions=(Direction.FUT_TO_SPOT,),
        min=Decimal("0.5"),
        max=Decimal(100),
        daily_cap=Decimal(200),
    )
    assert settings.reconciliation_timing == ReconciliationTiming(
        execution_ms=1, history_lag_ms=2, clean_spread_ms=3
    )
    assert (settings.entry_max_usdt, settings.entry_daily_cap) == (Decimal(50), Decimal(500))
    assert settings.entry_symbols == ("BTCUSDT", "ETHUSDT")
    assert settings.entry_quote_age_ms == 250
    assert settings.db_arango_uri == ("http://a:8529", "http://b:8529")
    assert set(settings.model_fields_set) == set(Settings.model_fields)


def test_every_wrong_value_is_reported_at_once_with_what_was_given_rule_and_example() -> None:
    text = problems({**WRONG, "S1_HTTP_PROT": "1"})
    lines = text.splitlines()
    assert lines[0] == f"{len(WRONG) + 1} settings are wrong:"
    assert len(lines) == len(WRONG) + 2
    for name, value in WRONG.items():
        (line,) = [line for line in lines if line.strip().startswith(f"{name}=")]
        assert (MASK if name in SECRET_SETTINGS else repr(value)) in line
        assert "Rule: " in line
        assert f"Example: {name}=" in line


def test_every_setting_that_can_be_wrong_is_in_the_table_above() -> None:
    any_text = {
        "redis_user",
        "redis_pass",
        "redis_tls_ca_file",
        "redis_tls_cert_file",
        "redis_tls_key_file",
        "redis_server",
        "api_tokens_file",
        "state_dir",
        "binance_key",
        "binance_secret",
        "db_arango_user",
        "db_arango_pass",
        "db_arango_database",
        "db_sqlite_path",
    }
    checked = {variable(name) for name in Settings.model_fields.keys() - any_text}
    assert checked == WRONG.keys()


@pytest.mark.parametrize("name", ["S1_BINANCE_KEY", "S1_BINANCE_SECRET"])
def test_a_key_without_its_secret_is_refused(name: str) -> None:
    text = problems({name: SECRET})

    assert "S1_BINANCE_SECRET" in text
    assert SECRET not in text


def test_directions_may_have_their_old_names() -> None:
    old = {"S1_TREASURY_DIRECTIONS": "FUTURES_TO_SPOT, SPOT_TO_FUTURES,SPOT_TO_FUT"}

    settings = load_settings(old)

    assert settings.treasury_directions == (Direction.FUT_TO_SPOT, Direction.SPOT_TO_FUT)


def test_the_largest_amount_is_not_below_the_smallest() -> None:
    text = problems({"S1_TREASURY_MIN": "10", "S1_TREASURY_MAX": "9"})

    assert "below S1_TREASURY_MIN" in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("S1_HTTP_PROT", "did you mean S1_HTTP_PORT?"),
        ("S1_SYMBOL", "did you mean S1_SYMBOLS?"),
        ("S1_QQQQQQQQQQ", "chimera-s1 config lists all of them"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_known_one(name: str, hint: str) -> None:
    assert f"{name}: no such setting; {hint}" in problems({name: SECRET})
    assert SECRET not in problems({name: SECRET})


def test_names_of_other_programs_and_of_the_demo_file_are_left_alone() -> None:
    environ = {"PATH": "/bin", "s1_http_port": "x", "S1_URL": "http://x", "S1_TOKEN": SECRET}
    assert load_settings(environ) == load_settings({})


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings({"S1_HTTP_PORT": "", "S1_REDIS_PASS": " "}) == load_settings({})


def test_the_simulator_needs_the_urls_of_the_venues_served() -> None:
    text = problems({"S1_BINANCE_ENV": "simulator", "S1_VENUES": "perp"})
    assert text.startswith("2 settings are wrong:")
    assert "S1_BINANCE_PERP_REST_URL is not set: S1_BINANCE_ENV=simulator needs it" in text
    assert "S1_BINANCE_PERP_WS_URL is not set: S1_BINANCE_ENV=simulator needs it" in text


def test_a_symbol_on_a_venue_that_is_not_served_is_an_error() -> None:
    text = problems({"S1_VENUES": "perp", "S1_SYMBOLS": "BTCUSDT,spot/ETHUSDT"})
    assert "spot/ETHUSDT: not on a venue that S1_VENUES serves" in text


def test_the_longest_wait_is_not_below_the_first() -> None:
    text = problems({"S1_RECONNECT_BASE_MS": "500", "S1_RECONNECT_MAX_WAIT_MS": "499"})
    assert "S1_RECONNECT_MAX_WAIT_MS='499': below S1_RECONNECT_BASE_MS" in text


def test_tls_without_addresses_is_an_error() -> None:
    assert "the embedded Redis has no TLS" in problems({"S1_REDIS_TLS": "true"})


@pytest.mark.parametrize("environment", ["live", "testnet"])
@pytest.mark.parametrize("name", SIMULATOR_URLS)
def test_a_real_venue_is_not_reached_without_tls(environment: str, name: str) -> None:
    """Not on loopback either; `live` is the default."""
    url = SIMULATOR_URLS[name]
    text = problems({"S1_BINANCE_ENV": environment, name: url})
    assert f"{name}={url!r}: S1_BINANCE_ENV={environment} needs https:// and wss://" in text
    assert "S1_BINANCE_ENV=live needs https://" in problems({name: url})
    assert load_settings({name: url.replace("http", "https").replace("ws:", "wss:")}).real_venue


def test_the_archive_of_a_real_venue_needs_tls() -> None:
    mirror = "S1_BINANCE_ARCHIVE_URL"

    assert "the archive of a real venue needs https://" in problems({mirror: "http://127.0.0.1"})
    assert load_settings({}).binance_archive_url == "https://data.binance.vision"
    given = load_settings({mirror: "https://mirror.example/binance/"})
    assert given.binance_archive_url == "https://mirror.example/binance"


KEY = {"S1_BINANCE_KEY": "k", "S1_BINANCE_SECRET": "s"}


@pytest.mark.parametrize("environ", [KEY, {**KEY, "S1_BINANCE_ENV": "testnet"}])
def test_a_key_of_a_real_venue_needs_a_redis_that_outlives_the_process(
    environ: dict[str, str],
) -> None:
    with pytest.raises(ConfigurationError, match="S1_REDIS_ADDRESSES is not set: with S1_BINANCE"):
        embedded_redis(load_settings(environ))


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {**KEY, "S1_REDIS_ADDRESSES": "redis:6379"},
        {**KEY, **SIMULATOR_URLS, "S1_BINANCE_ENV": "simulator"},
    ],
)
def test_an_embedded_redis_is_enough_without_a_key_or_for_a_simulator(
    environ: dict[str, str],
) -> None:
    check_redis_is_named(load_settings(environ))


def test_a_host_that_is_needed_and_not_allowed_is_named_at_the_start() -> None:
    settings = load_settings({"S1_EGRESS_ALLOW": "api.binance.com, stream.binance.com"})
    with pytest.raises(ConfigurationError, match=r"fapi\.binance\.com is not in S1_EGRESS_ALLOW"):
        served_endpoints(settings)
    everything = "api.binance.com,stream.binance.com,FAPI.binance.com,fstream.binance.com"
    assert len(served_endpoints(load_settings({"S1_EGRESS_ALLOW": everything}))) == 2


def test_the_proxy_of_the_settings_is_that_of_all_connections() -> None:
    proxy = f"http://me:{SECRET}@10.0.0.9:3128"
    for endpoints in served_endpoints(load_settings({"S1_EGRESS_PROXY": proxy})).values():
        assert endpoints.egress.proxy == proxy
        assert SECRET not in repr(endpoints)


def test_secrets_show_nowhere() -> None:
    environ = {name: f"{SECRET} of {name}" for name in SECRET_SETTINGS}
    environ["S1_EGRESS_PROXY"] = f"http://me:{SECRET}@10.0.0.9:3128"
    settings = load_settings(environ)
    rows = effective_settings(environ)
    shown = [repr(settings), str(settings), str(settings.model_dump()), repr(rows)]
    assert not [text for text in shown if SECRET in text]
    assert {row.name: row.origin for row in rows if row.value == "***"} == dict.fromkeys(
        SECRET_SETTINGS, SettingOrigin.ENVIRONMENT
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S1_BINANCE_SPOT_REST_URL", f"https://me:{SECRET}@api.binance.com"),
        ("S1_BINANCE_PERP_WS_URL", f"wss://{SECRET}@fstream.binance.com/x"),
        ("S1_REDIS_ADDRESSES", f"me:{SECRET}@redis:6379"),
        ("S1_DB_ARANGO_URI", f"http://a:8529,http://me:{SECRET}@b:8529"),
        ("S1_DB_ARANGO_URI", f"http://me:{SECRET}@b:eighty"),
        ("S1_EGRESS_PROXY", f"https://me:{SECRET}@10.0.0.9:3128"),
        ("S1_EGRESS_PROXY", f"http://{SECRET}@10.0.0.9:3128"),
        ("S1_EGRESS_PROXY", f"http://me:{SECRET}@10.0.0.9"),
        ("S1_EGRESS_PROXY", f"http://me:{SECRET}@10.0.0.9:eighty"),
    ],
)
def test_a_password_put_into_an_address_is_refused_and_not_shown(name: str, value: str) -> None:
    text = problems({name: value})
    assert f"{name}=***" in text
    assert SECRET not in text


def test_settings_are_frozen_and_read_no_environment_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S1_HTTP_PORT", "1")
    settings = load_settings({})
    assert settings.http_port == 8080
    with pytest.raises(ValidationError):
        settings.http_port = 1


def test_the_report_has_every_setting_with_the_text_in_force() -> None:
    rows = effective_settings({"S1_HTTP_PORT": "81"})
    assert [row.name for row in rows] == [variable(name) for name in Settings.model_fields]
    by_name = {row.name: row for row in rows}
    assert (by_name["S1_HTTP_PORT"].value, by_name["S1_HTTP_PORT"].origin) == ("81", "environment")
    assert (by_name["S1_VENUES"].value, by_name["S1_VENUES"].origin) == ("spot,perp", "default")
    assert by_name["S1_REDIS_PASS"].value == ""


def test_the_report_read_back_gives_the_same_settings() -> None:
    """What `config` prints can be set again and means the same."""
    environ = {"S1_SYMBOLS": "*", "S1_REDIS_ADDRESSES": "[::1]:1"}
    printed = {row.name: row.value for row in effective_settings(environ)}
    assert load_settings(printed) == load_settings(environ)


hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)


@given(
    nodes=st.lists(st.builds(RedisAddress, host=hosts, port=st.integers(1, 65_535)), unique=True)
)
def test_redis_nodes_read_back_from_what_they_print(nodes: list[RedisAddress]) -> None:
    settings = load_settings({"S1_REDIS_ADDRESSES": ",".join(map(str, nodes))})
    assert settings.redis_addresses == tuple(nodes)


@given(text=st.text(max_size=30))
def test_any_text_is_a_base_url_or_an_error_that_says_so(text: str) -> None:
    try:
        url = parse_base_url(text, ("https", "http"))
    except InvalidValueError:
        return
    assert parse_base_url(url, ("https", "http")) == url


@given(
    environ=st.dictionaries(
        st.sampled_from(sorted(map(variable, Settings.model_fields))), st.text(max_size=12)
    )
)
def test_any_environment_is_settings_or_one_error_of_a_line_for_each_problem(
    environ: dict[str, str],
) -> None:
    text = ""
    try:
        settings = load_settings(environ)
    except ConfigurationError as error:
        text = str(error)
    heading, *lines = text.splitlines() or [""]
    if text:
        assert heading.split()[0] == str(len(lines))
        assert all(line.startswith("  S1_") for line in lines)
    else:
        given = {name for name, value in environ.items() if value.strip()}
        assert {variable(name) for name in settings.model_fields_set} == given


KEYED_SHARD = {"S1_SHARD": "1/2", "S1_BINANCE_KEY": "key", "S1_BINANCE_SECRET": "secret"}


def test_shards_with_a_key_need_one_shared_ledger() -> None:
    """Two SQLite ledgers of one account would each move the money of the same key."""
    text = problems(KEYED_SHARD)

    assert "S1_DB_ARANGO_URI" in text
    assert "S1_SHARD=1/2 with an exchange key needs a ledger that all instances share" in text


@pytest.mark.parametrize(
    "change",
    [
        {"S1_DB_ARANGO_URI": "http://10.0.0.7:8529"},
        {"S1_SHARD": "0/1"},
        {"S1_BINANCE_KEY": "", "S1_BINANCE_SECRET": ""},
        {"S1_BINANCE_ENV": "testnet"},
    ],
)
def test_shards_that_cannot_disagree_about_money_may_start(change: dict[str, str]) -> None:
    """A shared ledger, one instance, no key, or testnet, where nothing is transferred."""
    given = {**KEYED_SHARD, **change}

    assert str(load_settings(given).shard) == given["S1_SHARD"]


REDIS_OVER_TLS = {"S1_REDIS_ADDRESSES": "redis-1:6379", "S1_REDIS_TLS": "true"}


@pytest.mark.parametrize("given", ["CERT", "KEY"])
def test_the_certificate_of_a_redis_client_needs_its_key(given: str) -> None:
    text = problems({**REDIS_OVER_TLS, f"S1_REDIS_TLS_{given}_FILE": "/etc/s1.pem"})
    assert "S1_REDIS_TLS_CERT_FILE and S1_REDIS_TLS_KEY_FILE go together" in text


@pytest.mark.parametrize("file", ["CA", "CERT", "KEY"])
def test_files_for_tls_without_tls_are_an_error(file: str) -> None:
    text = problems({f"S1_REDIS_TLS_{file}_FILE": "/etc/s1.pem"})
    assert f"S1_REDIS_TLS_{file}_FILE='/etc/s1.pem': without S1_REDIS_TLS=true" in text


def test_a_limit_that_is_set_stands_over_what_the_exchange_says() -> None:
    settings = load_settings({"S1_REQUEST_LIMITS": "futures.funding=250,spot.weight=3000"})
    budget = exchange_limits(settings, SystemClock()).budgets[Venue.SPOT].requests
    budget.learn(LimitName.SPOT_WEIGHT, 6_000, LimitSource.EXCHANGE)
    weight = next(each.limit for each in budget.reports(0.0) if each.limit.name == "spot.weight")

    assert (weight.limit, weight.source) == (3_000, LimitSource.SETTING)


@pytest.mark.parametrize("text", ["spot.weight", "spot.weight=0", "spot.weight=-1", "weight=5"])
def test_a_wrong_limit_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="S1_REQUEST_LIMITS"):
        load_settings({"S1_REQUEST_LIMITS": text})


def test_s10_may_name_the_symbols_where_there_is_one() -> None:
    settings = load_settings({"S1_SYMBOLS": " S10 ", "S1_S10_URL": "http://10.0.0.10:8000/"})
    assert settings.s10_url == "http://10.0.0.10:8000"
    assert settings.symbols_from_s10
    assert settings.symbol_filter is None
    assert ":s10:" in settings.publisher_lease_name

    assert not load_settings({"S1_S10_URL": "http://10.0.0.10:8000"}).symbols_from_s10
    assert "S1_S10_URL names no S10" in problems({"S1_SYMBOLS": "s10"})
    both = problems({"S1_SYMBOLS": "s10", "S1_S10_URL": "s10:8000"})
    assert both.startswith("1 setting is wrong:")
    assert "S10: not quoted in USDT" in problems({"S1_SYMBOLS": "s10,BTCUSDT"})
