"""The health check of a service."""

from __future__ import annotations

import http.client

from sealdex.runtime.services._plan import HOST, ServicePlan


def health_problem(plan: ServicePlan) -> str | None:
    """Check once; return None if it is healthy (any 2xx), else the problem."""
    check = plan.health
    if check is None or plan.health_port is None:
        return None
    connection = http.client.HTTPConnection(HOST, plan.health_port, timeout=check.timeout)
    try:
        connection.request(check.method, check.endpoint)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{plan.health_url} does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{plan.health_url} answers {status}"
