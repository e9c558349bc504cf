"""The health check of a service."""

from __future__ import annotations

import http.client
from urllib.parse import quote

from sealdex.runtime.services._plan import HOST, ServicePlan

_LONGEST_S = 86400.0  # the system refuses what its clock can't count
_AS_IT_IS = "%/?:@!$&'()*+,;=~#[]"  # what has a meaning in a path or query; letters of other scripts are encoded


def health_problem(plan: ServicePlan) -> str | None:
    """Check once; return None if it is healthy (any 2xx), else the problem."""
    check = plan.health
    if check is None or plan.health_port is None:
        return None
    connection = http.client.HTTPConnection(HOST, plan.health_port, timeout=min(check.timeout, _LONGEST_S))
    try:
        connection.request(check.method, quote(check.endpoint, safe=_AS_IT_IS))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{plan.health_url} does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{plan.health_url} answers {status}"
