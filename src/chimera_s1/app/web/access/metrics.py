"""What access control counts, under the name on the Prometheus page."""

from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.domain.operations.metrics import MetricSource, counter


def access_source(access: ControlAccess) -> MetricSource:
    """Requests refused before their handler, by reason; left out before the first."""
    about = "HTTP requests refused for want of a token or a scope, or for asking too often."
    return lambda: [
        counter("s1_http_refused_total", about, count, reason=reason)
        for reason, count in access.refusals.items()
    ]
