"""A rollback of one host, from the deployer's side."""

from collections.abc import Iterator

from deploy.errors import DeployError, UnavailableError
from deploy.host.deploying import cut_over
from deploy.host.heartbeat import locked
from deploy.outcome import Act
from deploy.ssh import commands
from deploy.ssh.link import Link, Say


def rollback(  # noqa: PLR0913 - the options of the verb
    link: Link, project: str, to: str, who: str, say: Say, *, dry: bool
) -> Iterator[Act]:
    """Go back to a release that is kept; the exit code is 0 where it runs, 1 where that failed.

    Raises:
        DeployError: There is none, and nothing was changed.
    """
    status = link.status(project, first=commands.preflight(link.host))
    if (unfinished := status["unfinished"]) and not dry:

        def recover() -> int:
            with locked(link, who, f"recovery of {unfinished}"):
                link.install_agent()
                return link.agent_stream(("--who", who, "recover", "--once"), say)

        # How it ends decides which release is the previous one.
        yield recover
        status = link.status(project)
    name = to or status["previous"]
    kept = [release["name"] for release in status["releases"]]
    if name is None:
        raise UnavailableError("there is no previous release to go back to; see make releases")
    if name not in kept:
        raise DeployError(f"no release is called {name!r}; kept are: {', '.join(kept) or 'none'}")
    if name == status["current"] and not status["as_released"]:
        say(f"nothing to do: {name} runs")
        return
    if dry:
        say(f"would go back from {status['current']} to {name}; data stays as it is")

    def go_back() -> int:
        with locked(link, who, f"rollback to {name}"):
            link.install_agent()
            return cut_over(link, name, who, say)

    yield go_back
