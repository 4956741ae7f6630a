"""TLS to Redis: the context of all connections, and what to do when a handshake fails."""

import ssl
from pathlib import Path

from msgspec import Struct

from chimera_s1.adapters.regular_file import SMALL_FILE_BYTES_MAX, read_regular
from chimera_s1.domain.errors import ConfigurationError


class TlsFiles(Struct, frozen=True):
    """Files in PEM format; without *ca* the system's CA certificates are used. *certificate* and
    *key* are this client's, both or none.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    check_hostname: bool = True


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Verifies the server's certificate, and its name unless told otherwise.

    Raises:
        ConfigurationError: A file cannot be used; the text names its setting.
    """
    ca = _readable("S1_REDIS_TLS_CA_FILE", files.ca)
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"S1_REDIS_TLS_CA_FILE={ca} has no certificate that can be read ({error.reason}); "
            "write it again"
        ) from None
    context.check_hostname = files.check_hostname
    if files.certificate is not None and files.key is not None:
        _load_client_certificate(context, files.certificate, files.key)
    return context


def _readable(setting: str, file: Path | None) -> str | None:
    """The path of a file that contains something in PEM format."""
    if file is None:
        return None
    try:
        content = read_regular(file, SMALL_FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(
            f"{setting}={file} cannot be read: {error.strerror}; correct the path, or let this "
            "user read it"
        ) from None
    if b"-----BEGIN " not in content:
        raise ConfigurationError(f"{setting}={file} is not in PEM format; convert it with openssl")
    return str(file)


def _load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    named = f"S1_REDIS_TLS_CERT_FILE={certificate} and S1_REDIS_TLS_KEY_FILE={key}"
    _readable("S1_REDIS_TLS_CERT_FILE", certificate)
    _readable("S1_REDIS_TLS_KEY_FILE", key)
    try:
        context.load_cert_chain(certificate, key, password=_refuse_to_ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            advice = "the key is not that of the certificate; name a pair"
        else:
            advice = f"not a certificate and its key ({error.reason}); write both again"
        raise ConfigurationError(f"{named}: {advice}") from None


def _refuse_to_ask() -> str:
    """Called for an encrypted key; without it OpenSSL would ask on the terminal."""
    raise ConfigurationError(
        "S1_REDIS_TLS_KEY_FILE is encrypted, and there is no setting for its password; decrypt it "
        "with openssl pkey, into a file that only this user can read"
    )


_CA = "correct S1_REDIS_TLS_CA_FILE: the CA that signed the server's certificate"
_VERIFY_REMEDIES = {
    9: "correct this machine's clock or the server's certificate",
    10: "renew it on the server",
    18: _CA,
    19: _CA,
    20: _CA,
    21: _CA,
    62: "name the node as in its certificate (S1_REDIS_ADDRESSES, cluster-announce-hostname), or "
    "issue one for that name",
    64: "issue one for that address, or let the nodes announce names (cluster-announce-hostname, "
    "cluster-preferred-endpoint-type hostname)",
}
"""By OpenSSL's X509_V_ERR codes."""

_PAIR = "S1_REDIS_TLS_CERT_FILE and S1_REDIS_TLS_KEY_FILE"
_REFUSED = f"the server refuses this client's certificate; correct {_PAIR}"
_ALERT_ADVICE = {
    "CERTIFICATE_REQUIRED": f"the server requires a client certificate; set {_PAIR}",
    "HANDSHAKE_FAILURE": "the server refuses the handshake; it may require a client certificate "
    f"({_PAIR}), or has no cipher in common",
    "UNKNOWN_CA": f"{_REFUSED}: the server does not know its CA (tls-ca-cert-file)",
    "CERTIFICATE_EXPIRED": f"{_REFUSED}: it has expired, renew it",
    "CERTIFICATE_REVOKED": f"{_REFUSED}: it is revoked",
    "CERTIFICATE_UNKNOWN": _REFUSED,
    "BAD_CERTIFICATE": _REFUSED,
    "UNSUPPORTED_CERTIFICATE": _REFUSED,
    "ACCESS_DENIED": _REFUSED,
}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})


def tls_advice(error: ssl.SSLError) -> str:
    """What to do, with OpenSSL's words; empty if settings and certificates do not explain it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _VERIFY_REMEDIES.get(error.verify_code, "correct it on the server")
        words = error.verify_message.rstrip(".")
        return f"TLS: the server's certificate is not accepted ({words}); {remedy}"
    reason = getattr(error, "reason", "") or ""  # only OpenSSL's errors have one
    if reason in _NOT_TLS:
        return f"TLS: the port does not speak it ({reason}); name a TLS port, or S1_REDIS_TLS=false"
    advice = _ALERT_ADVICE.get(reason.partition("ALERT_")[2], "")
    return f"TLS: {advice} ({reason})" if advice else ""


def no_tls_answer(text: str) -> str:
    """*text*, of a handshake without any answer: what a port without TLS does."""
    return f"{text}; S1_REDIS_TLS=true: is this a TLS port?"


def closed_early(text: str, *, tls: bool) -> str:
    """*text*, of a connection closed before its first reply.

    A port with TLS does that to a client without; and a server that refuses a client certificate,
    where the reset of the connection overtakes its alert (TLS 1.3).
    """
    if tls:
        return (
            f"{text} before the first reply; S1_REDIS_TLS_CERT_FILE: does the server require a "
            "client certificate, or refuse this one?"
        )
    return f"{text} before the first reply; S1_REDIS_TLS=false: is this a TLS port?"
