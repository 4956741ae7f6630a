"""WebSocket frames as bytes, so that one write sends many.

RFC 6455 section 5.2: server frames are not masked; the length is 7 bits, or 126 and 16 bits, or
127 and 64 bits.
"""

_TEXT_FINAL = 0x81
_BINARY_FINAL = 0x82
_PING_FINAL = 0x89
_PONG_FINAL = 0x8A
_SHORT = 126
_MEDIUM = 1 << 16
_CACHED = 4096


def _header(length: int, kind: int = _TEXT_FINAL) -> bytes:
    if length < _SHORT:
        return bytes((kind, length))
    if length < _MEDIUM:
        return bytes((kind, 126)) + length.to_bytes(2, "big")
    return bytes((kind, 127)) + length.to_bytes(8, "big")


_HEADERS = tuple(_header(length) for length in range(_CACHED))


def text_header(length: int) -> bytes:
    """Header of a final text frame with *length* bytes of payload."""
    return _HEADERS[length] if length < _CACHED else _header(length)


def binary_frame(payload: bytes) -> bytes:
    return _header(len(payload), _BINARY_FINAL) + payload


def ping_frame(payload: bytes) -> bytes:
    """A ping; *payload* has at most 125 bytes (RFC 6455 section 5.5)."""
    return _header(len(payload), _PING_FINAL) + payload


def pong_frame(payload: bytes) -> bytes:
    return _header(len(payload), _PONG_FINAL) + payload
