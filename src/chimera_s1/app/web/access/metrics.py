"""Metrics of access control."""

from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.domain.operations.metrics import MetricSource, counter


def access_source(access: ControlAccess) -> MetricSource:
    """Refused requests by reason; left out before the first."""
    about = "HTTP requests refused by access control: token, scope or rate limit."
    return lambda: [
        counter("s1_http_refused_total", about, count, reason=reason)
        for reason, count in (*access.refusals.items(), ("public_rate", access.public.refused))
        if count
    ]
