"""Files that cannot be used are named with their setting; handshakes, by OpenSSL's reason."""

import ssl
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.tls import TlsFiles, tls_advice, tls_context
from chimera_s1.domain.errors import ConfigurationError
from tests.contract.certificates import Authority, Pair

PASSPHRASE = "correct-horse-battery"


def problem(files: TlsFiles) -> str:
    with pytest.raises(ConfigurationError) as caught:
        tls_context(files)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ca")


@pytest.fixture
def pair(ca: Authority) -> Pair:
    return ca.issue("client")


def test_the_context_verifies_the_server_and_its_name(ca: Authority, pair: Pair) -> None:
    context = tls_context(TlsFiles(ca.file, pair.certificate, pair.key))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "ca"),),)]


def test_without_the_check_of_names_the_certificate_is_still_verified(ca: Authority) -> None:
    context = tls_context(TlsFiles(ca.file, check_hostname=False))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.check_hostname


@pytest.mark.parametrize("setting", ["CA", "CERT", "KEY"])
def test_a_missing_file_is_named(setting: str, ca: Authority, pair: Pair, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    files = {"CA": ca.file, "CERT": pair.certificate, "KEY": pair.key, setting: missing}
    text = problem(TlsFiles(files["CA"], files["CERT"], files["KEY"]))
    assert f"S1_REDIS_TLS_{setting}_FILE={missing} cannot be read: No such file" in text


@pytest.mark.parametrize("setting", ["CA", "CERT", "KEY"])
def test_a_directory_is_named(setting: str, ca: Authority, pair: Pair, tmp_path: Path) -> None:
    files = {"CA": ca.file, "CERT": pair.certificate, "KEY": pair.key, setting: tmp_path}
    text = problem(TlsFiles(files["CA"], files["CERT"], files["KEY"]))
    assert f"S1_REDIS_TLS_{setting}_FILE={tmp_path} cannot be read: a directory, not" in text


@pytest.mark.parametrize("content", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nx\n"])
@pytest.mark.parametrize("setting", ["CA", "CERT", "KEY"])
def test_a_file_of_another_kind_is_named(
    setting: str, content: str, ca: Authority, pair: Pair, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(content)
    files = {"CA": ca.file, "CERT": pair.certificate, "KEY": pair.key, setting: wrong}
    text = problem(TlsFiles(files["CA"], files["CERT"], files["KEY"]))
    assert f"S1_REDIS_TLS_{setting}_FILE={wrong}" in text


def test_a_key_of_another_certificate_is_named(ca: Authority, pair: Pair) -> None:
    other = ca.issue("other")
    text = problem(TlsFiles(ca.file, pair.certificate, other.key))
    assert f"S1_REDIS_TLS_KEY_FILE={other.key}: the key is not that of the certificate" in text


def test_an_encrypted_key_does_not_ask_on_the_terminal(ca: Authority) -> None:
    pair = ca.issue("client", password=PASSPHRASE)
    assert "S1_REDIS_TLS_KEY_FILE is encrypted" in problem(
        TlsFiles(ca.file, pair.certificate, pair.key)
    )


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("WRONG_VERSION_NUMBER", "the port does not speak it"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "requires a client certificate"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "may require a client certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", "does not know its CA"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "it is revoked"),
    ],
)
def test_a_refused_handshake_is_explained(reason: str, advice: str) -> None:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    assert advice in tls_advice(error)
    assert reason in tls_advice(error)


def test_what_settings_do_not_explain_is_left_to_the_servers_words() -> None:
    error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_INTERNAL_ERROR]")
    error.reason = "TLSV1_ALERT_INTERNAL_ERROR"
    assert tls_advice(error) == ""
    assert tls_advice(ssl.SSLError(1, "no reason")) == ""
