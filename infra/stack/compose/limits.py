"""How Docker asks whether a container works, and what it may take at most."""

from typing import Any

from infra.stack.plan import Health, Resources


def literal(text: str) -> str:
    """Return a text so that Compose leaves its dollar signs alone."""
    return text.replace("$", "$$")


def deploy_of(resources: Resources, replicas: int = 1) -> dict[str, Any]:
    """Return how many containers there are, and what each may take."""
    limits = {"cpus": resources.cpus, "memory": resources.memory, "pids": resources.pids}
    several = {"replicas": replicas} if replicas > 1 else {}
    return {**several, "resources": {"limits": limits}}


def healthcheck_of(health: Health | None) -> dict[str, Any]:
    """Return how Docker asks whether it works."""
    if health is None:
        return {}
    return {
        "test": _test(health),
        "interval": health.interval,
        "timeout": health.timeout,
        "retries": health.retries,
        "start_period": health.start_period,
    }


def _test(health: Health) -> list[str]:
    """Return the test in exec form; HTTP is asked with Python, so no image needs curl."""
    if health.command:
        return ["CMD", *(literal(part) for part in health.command)]
    seconds = 3
    script = (
        "import http.client, sys; sys.tracebacklimit = 0; "
        f"c = http.client.HTTPConnection('127.0.0.1', {health.port}, timeout={seconds}); "
        f"c.request('GET', '{health.path}'); r = c.getresponse(); "
        "sys.exit(r.status != 200 and f'{r.status} {r.read(300)}')"
    )
    return ["CMD", "python", "-IS", "-c", literal(script)]


def megabytes(size: str) -> int:
    """Return a size such as 1G in megabytes."""
    factor = {"K": 1 / 1024, "M": 1, "G": 1024}[size[-1]]
    return max(1, int(int(size[:-1]) * factor))
