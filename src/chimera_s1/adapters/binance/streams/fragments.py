"""Messages that arrive in several frames (RFC 6455, 5.4)."""

from picows import WSMsgType


class FragmentedMessages:
    """Joins the frames of a message. A message longer than *bytes_max* is dropped when it ends."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kind: WSMsgType | None = None
        self._joined = bytearray()
        self._too_long = False

    def add(self, kind: WSMsgType, payload: bytes, *, last: bool) -> bytes | str | None:
        """Add a data frame: the whole text message once it is complete, or the reason why it is
        dropped; None while frames of it are missing.
        """
        if kind is not WSMsgType.CONTINUATION:
            self._start(kind)
        self._append(payload)
        if not last:
            return None
        whole = self._outcome()
        self._start(None)
        return whole

    def _start(self, kind: WSMsgType | None) -> None:
        self._kind, self._joined, self._too_long = kind, bytearray(), False

    def _append(self, payload: bytes) -> None:
        self._too_long |= len(self._joined) + len(payload) > self._bytes_max
        if not self._too_long and self._kind is WSMsgType.TEXT:
            self._joined += payload

    def _outcome(self) -> bytes | str:
        if self._kind is not WSMsgType.TEXT:
            return "not_text"
        return "oversized" if self._too_long else bytes(self._joined)
