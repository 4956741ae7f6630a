"""Health report of the publisher: does this instance publish, or stand by?"""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count

LEASE_GRACE_MS = 10_000
"""A lease that is not renewed ends, and a standby takes it, well within this."""


class PublisherReport(Struct, frozen=True):
    """Attributes:
    lease: Its name.
    other: The instance that holds the lease; empty if this one does or none is known.
    endless: Whether the lease of *other* never expires.
    cause: Why the lease cannot be read; empty if it can.
    foreign_streams: Streams that another process wrote during the last minute, although this
        instance holds the lease.
    standby: The instance that would take over; empty if none waits, or this one does not publish.
    """

    publishing: bool
    lease: str
    other: str = ""
    endless: bool = False
    cause: str = ""
    foreign_streams: int = 0
    standby: str = ""

    @property
    def level(self) -> Level:
        """ORANGE: nothing is published, nor would be if the holder ended; YELLOW: published, but
        the lease is not renewed or another process writes the streams, too.
        """
        if not self.publishing:
            return Level.ORANGE if self.cause or self.endless or not self.other else Level.GREEN
        return Level.YELLOW if self.cause or self.foreign_streams else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """None for a lease that never expires: nothing ends it but an operator."""
        return 0 if self.endless else LEASE_GRACE_MS

    @property
    def sentence(self) -> str:
        return self._publishing() if self.publishing else self._standby()

    def _publishing(self) -> str:
        if self.cause:
            return (
                f"publishes, but cannot renew its lease {self.lease} ({self.cause}): check the "
                "Redis node that holds it; a standby cannot take over meanwhile"
            )
        if self.foreign_streams:
            streams = count(self.foreign_streams, "stream")
            return (
                f"publishes, but another process writes {streams} of this instance: "
                "ops:events, kind stream.id_ahead, names them; find and stop that process"
            )
        waiting = f"; standby: {self.standby}" if self.standby else ""
        return f"publishes; lease {self.lease}{waiting}"

    def _standby(self) -> str:
        if self.cause:
            return (
                f"does not publish: its lease {self.lease} cannot be read ({self.cause}), so "
                "another instance may hold it; check the Redis node that holds it"
            )
        if self.endless:
            return (
                f"standby: {self.other} holds the lease {self.lease}, which never expires; if no "
                "such instance runs, delete the key"
            )
        if self.other:
            return (
                f"standby: {self.other} publishes (lease {self.lease}); this instance receives "
                "and takes over when that lease ends"
            )
        return f"does not publish yet: its lease {self.lease} was not read"
