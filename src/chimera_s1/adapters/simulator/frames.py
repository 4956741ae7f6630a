"""
WebSocket frames as bytes, so that many can go out in one write.

RFC 6455 section 5.2: server frames are not masked; the length is 7 bits, or 126 and 16 bits, or
127 and 64 bits.
"""

_TEXT_FINAL = 0x81
_SHORT = 126
_MEDIUM = 1 << 16
_CACHED = 4096


def _header(length: int) -> bytes:
    if length < _SHORT:
        return bytes((_TEXT_FINAL, length))
    if length < _MEDIUM:
        return bytes((_TEXT_FINAL, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT_FINAL, 127)) + length.to_bytes(8, "big")


_HEADERS = tuple(_header(length) for length in range(_CACHED))


def text_header(length: int) -> bytes:
    """
    Header of one final text frame with *length* bytes of payload.
    """
    return _HEADERS[length] if length < _CACHED else _header(length)
