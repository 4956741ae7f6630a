"""A command finds its service, and sends the token nowhere else."""

from pathlib import Path

import pytest

from chimera_s1.adapters.redis.addresses import parse_addresses
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.state_files import DemoState, demo_lock, write_demo_state
from chimera_s1.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("named", "environ", "expected"),
    [
        (None, {"S1_URL": "http://a:1/", "S1_TOKEN": "t "}, "http://a:1"),
        ("https://b/api/", {"S1_URL": "http://a:1", "S1_TOKEN": "t"}, "https://b/api"),
    ],
)
def test_a_service_is_named_by_the_option_or_the_environment(
    named: str | None, environ: dict[str, str], expected: str, tmp_path: Path
) -> None:
    settings = load_settings({"S1_STATE_DIR": str(tmp_path)})

    service = find_service(named, environ, settings)

    assert service.url == expected
    assert service.token == "t"
    assert "t" not in repr(service).partition("token=")[2].replace("***", "")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no service to call"),
        ({"S1_TOKEN": "t"}, "no service to call"),
        ({"S1_URL": "http://a:1"}, "no token for http://a:1"),
        ({"S1_URL": "a:1", "S1_TOKEN": "t"}, "the service's address is not"),
        ({"S1_URL": "http://me:secret@a:1", "S1_TOKEN": "t"}, "the service's address is not"),
        ({"S1_URL": "http://a:1", "S1_TOKEN": "secret\nX: y"}, "S1_TOKEN is malformed"),
    ],
    ids=repr,
)
def test_an_invalid_service_is_an_error_that_shows_no_secret(
    environ: dict[str, str], message: str, tmp_path: Path
) -> None:
    settings = load_settings({"S1_STATE_DIR": str(tmp_path)})

    with pytest.raises(ConfigurationError, match=message) as caught:
        find_service(None, environ, settings)
    assert "secret" not in str(caught.value)


def test_a_demos_token_is_sent_to_that_demo_only(tmp_path: Path) -> None:
    settings = load_settings({"S1_STATE_DIR": str(tmp_path)})
    demo = DemoState("http://127.0.0.1:8080", "demo-token", parse_addresses("a:1"), "http://s:1")
    with demo_lock(tmp_path):
        write_demo_state(tmp_path, demo, {})

        assert find_service(None, {}, settings).token == "demo-token"
        assert find_service("http://127.0.0.1:8080/", {}, settings).token == "demo-token"
        own = find_service("http://b:1", {"S1_TOKEN": "mine"}, settings)
        assert (own.url, own.token) == ("http://b:1", "mine")
        with pytest.raises(ConfigurationError, match="no token for http://b:1"):
            find_service("http://b:1", {}, settings)
