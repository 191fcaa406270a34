"""Pure builders of what is run: argument lists here, shell text on the host."""

import shlex
from collections.abc import Iterable, Sequence

from deploy.errors import ConfigError
from deploy.inventory import Host
from infra.stack import Plan
from infra.stack.compose.acl import OPERATOR
from infra.stack.compose.operating import (
    FROM_INPUT,
    TAIL,
    TOOL,
    around_password,
    own_address,
    runs_the_tool,
)
from infra.stack.compose.secrets import MOUNT, password_of


def sudo(host: Host, *words: str) -> str:
    """Return shell text that runs a command as root."""
    command = shlex.join(words)
    return command if host.user == "root" else f"sudo -n {command}"


def preflight(host: Host) -> str:
    """Return shell text that ends with 69 and one line where the host is not ready."""
    checks = [
        ("test -r /etc/os-release && . /etc/os-release", "this is no Linux that we know"),
        ("command -v python3 >/dev/null", "python3 is missing; run: make provision"),
        (sudo(host, "true") + " 2>/dev/null", f"{host.user} may not use sudo without a password"),
        ("command -v docker >/dev/null", "Docker is missing; run: make provision"),
        (sudo(host, "docker", "version") + " >/dev/null 2>&1", "the Docker engine does not answer"),
        ("docker compose version >/dev/null 2>&1", "Compose v2 is missing; run: make provision"),
    ]
    return "".join(
        f"{check} || {{ echo {shlex.quote(why)} >&2; exit 69; }}\n" for check, why in checks
    )


def agent_once(host: Host, source: str, words: Sequence[str]) -> str:
    """Return shell text that takes the agent from what `source` prints, and runs it once.

    Nothing is left behind. What is still to be read of the input is the agent's own.
    """
    rest = shlex.join(["--root", host.root, *words])
    run = f'{sudo(host, "python3")} "$t/agent.pyz" {rest}'
    return f't=$(mktemp -d) && trap \'rm -rf "$t"\' EXIT && {source} >"$t/agent.pyz" && {run}'


def agent_path(host: Host, digest: str) -> str:
    """Return where an agent stays that has to outlive the connection."""
    return f"{host.root}/state/agent-{digest}.pyz"


def agent_install(host: Host, digest: str) -> str:
    """Return shell text that puts the agent from its input in its place, in one step."""
    path = agent_path(host, digest)
    return as_root(
        host,
        f"mkdir -p {shlex.quote(host.root)}/state && cat >{shlex.quote(path)}.new && "
        f"mv {shlex.quote(path)}.new {shlex.quote(path)}",
    )


def agent_stays(host: Host, digest: str, words: Sequence[str]) -> str:
    """Return shell text that runs the agent that was put in its place."""
    return sudo(host, "python3", agent_path(host, digest), "--root", host.root, *words)


def as_root(host: Host, script: str) -> str:
    """Return shell text that runs other shell text as root."""
    return sudo(host, "sh", "-c", script)


def receive_release(host: Host, name: str) -> str:
    """Return shell text that unpacks a release from its input; it is there whole or not at all."""
    folder = shlex.quote(f"{host.root}/releases")
    return as_root(
        host,
        f"set -e; umask 022; mkdir -p {folder}; cd {folder}; rm -rf .{name}; mkdir .{name}; "
        f"tar -xzf - --no-same-owner -C .{name}; sync; rm -rf {name}; mv .{name} {name}",
    )


def read_backup(host: Host, name: str) -> str:
    """Return shell text that writes a backup's files to its output, as an archive."""
    return sudo(host, "tar", "-cf", "-", "-C", f"{host.root}/backups/{name}", ".")


def receive_backup(host: Host, name: str) -> str:
    """Return shell text that unpacks a backup from its input; it is there whole or not at all."""
    folder = shlex.quote(f"{host.root}/backups")
    partial, final = shlex.quote(f".{name}.received"), shlex.quote(name)
    return as_root(
        host,
        f"set -e; umask 077; mkdir -p {folder}; cd {folder}; rm -rf {partial}; mkdir {partial}; "
        f"tar -xf - --no-same-owner --no-same-permissions -C {partial}; sync; "
        f"mv {partial} {final}",
    )


def dead_letters(host: Host, plan: Plan, words: Sequence[str]) -> str:
    """Return shell text that runs the dead-letter tool as Redis' operator.

    Raises:
        ConfigError: No service has events.
    """
    return _as_operator(host, plan, [*FROM_INPUT, "@", *TOOL, *words], "%s | %s")


def events(host: Host, plan: Plan, words: Sequence[str]) -> str:
    """Return shell text that follows the streams as Redis' operator, until its input ends.

    Raises:
        ConfigError: No service has events.
    """
    # A shell waits for all of a pipe, and `cat` for our input: whoever follows ends the shell.
    through = (
        "trap 'exit 69' TERM; exec 3<&0; { { %s; echo; cat <&3; } | { %s; kill $$; }; } & wait"
    )
    return _as_operator(host, plan, ["@", *TAIL, *words], through)


def _as_operator(host: Host, plan: Plan, words: Sequence[str], through: str) -> str:
    """Return shell text that runs a tool with the operator's address as its input.

    A Redis that is run elsewhere has no operator of ours: there the tool has the service's own
    address. The password goes from the file in Redis' container to the tool's input, through pipes.

    Args:
        host: Where.
        plan: The stack.
        words: What follows `docker exec -i`, with @ for the container.
        through: How what prints the address and what reads it hang together.
    """
    inside = runs_the_tool(plan)
    if inside is None:
        raise ConfigError("no service of services.yml has events, so there are none to show")
    service, redis = inside
    script, give = _newest(plan.project, service.name, "c"), "true"
    if redis.external:
        words = [*own_address(plan, service, redis), *words[words.index("@") :]]
    else:
        before, behind = (shlex.quote(part) for part in around_password(redis, "prod"))
        password = shlex.quote(f"{MOUNT}/{password_of(redis, OPERATOR)}")
        script = f"{_newest(plan.project, redis.name, 'r')}{script}"
        script += f'p=$(docker exec "$r" cat {password}) || exit 69; '
        give = f'printf "%s%s%s" {before} "$p" {behind}'
    tool = " ".join('"$c"' if word == "@" else shlex.quote(word) for word in words)
    return as_root(host, script + through % (give, f"docker exec -i {tool}"))


def _newest(project: str, service: str, variable: str) -> str:
    """Return shell text that puts the id of a service's newest running container in a variable."""
    ps = ["docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={project}"]
    ps += ["--filter", f"label=com.docker.compose.service={service}"]
    missing = shlex.quote(f"no container of {service} runs")
    return (
        f"{variable}=$({shlex.join(ps)} | head -n 1); "
        f'[ -n "${variable}" ] || {{ echo {missing} >&2; exit 69; }}; '
    )


def save_images(images: Iterable[str]) -> list[str]:
    """Return the command that writes images to its output."""
    return ["docker", "image", "save", *images]


def compress() -> list[str]:
    """Return the command that compresses its input: fast, since images hardly shrink further."""
    return ["zstd", "-q", "-T0", "-3", "-c"]


def load_images(host: Host) -> str:
    """Return shell text that loads images from its compressed input."""
    return f"zstd -q -d -c | {sudo(host, 'docker', 'image', 'load', '--quiet')}"


def logs(host: Host, project: str, service: str, lines: int, *, follow: bool) -> str:
    """Return shell text that shows what the containers of a service, or of all, have written."""
    label = f"label=com.docker.compose.project={project}"
    chosen = ["--filter", f"label=com.docker.compose.service={service}"] if service else []
    ps = shlex.join(["docker", "ps", "-a", "--filter", label, *chosen, "--format", "{{.Names}}"])
    options = ["--tail", str(lines), "--timestamps", *(["--follow"] if follow else [])]
    tail = f'docker logs {shlex.join(options)} "$n" 2>&1 | sed "s/^/$n | /"'
    each = f"for n in $({ps}); do {tail} & done; wait"
    return as_root(host, each)


def execute(host: Host, project: str, service: str, command: str) -> str:
    """Return shell text that runs a command in a service's newest running container."""
    inside = f'exec docker exec -i "$c" sh -c {shlex.quote(command)}'
    return as_root(host, _newest(project, service, "c") + inside)
