"""Pure builders of what is run: argument lists here, shell text on the host."""

import shlex
from collections.abc import Iterable, Sequence

from deploy.errors import ConfigError
from deploy.inventory import Host
from infra.stack import Plan
from infra.stack.compose.acl import OPERATOR
from infra.stack.compose.operating import FROM_INPUT, TOOL, around_password, runs_the_tool
from infra.stack.compose.secrets import MOUNT, password_of

CONNECT_SECONDS = 10


def ssh(host: Host, script: str, control: str = "") -> list[str]:
    """Return the command that runs a shell text on a host.

    Args:
        host: Where.
        script: A POSIX shell's text.
        control: A socket through which commands share one connection; empty for none.
    """
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "accept-new",
        "LogLevel": "ERROR",
    }
    if host.known_hosts:
        options["UserKnownHostsFile"] = host.known_hosts
    if host.key:
        options |= {"IdentitiesOnly": "yes", "IdentityFile": host.key}
    if control:
        options |= {"ControlMaster": "auto", "ControlPath": control, "ControlPersist": "30"}
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *given, "-p", str(host.port), "-l", host.user, host.address, script]


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


def agent_once(host: Host, size: int, words: Sequence[str]) -> str:
    """Return shell text that takes the agent from its input, runs it once and leaves nothing.

    What follows the agent's `size` bytes is the input of the agent itself.
    """
    rest = shlex.join(["--root", host.root, *words])
    run = f'{sudo(host, "python3")} "$t/agent.pyz" {rest}'
    return f't=$(mktemp -d) && trap \'rm -rf "$t"\' EXIT && head -c {size} >"$t/agent.pyz" && {run}'


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

    The password goes from the file in Redis' container to the tool's input, through pipes.

    Raises:
        ConfigError: No service has events.
    """
    inside = runs_the_tool(plan)
    if inside is None:
        raise ConfigError("no service of services.yml has events, so there are no dead letters")
    service, redis = inside
    project = plan.project
    before, behind = (shlex.quote(part) for part in around_password(redis))
    password = f"{MOUNT}/{password_of(redis, OPERATOR)}"
    tool = shlex.join([*FROM_INPUT, "@", *TOOL, *words]).replace(" @ ", ' "$c" ')
    return as_root(
        host,
        f"{_newest(project, redis.name, 'r')}{_newest(project, service.name, 'c')}"
        f'p=$(docker exec "$r" cat {shlex.quote(password)}) || exit 69; '
        f'printf "%s%s%s" {before} "$p" {behind} | docker exec -i {tool}',
    )


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
    one = f'docker logs {shlex.join(options)} "$n" 2>&1 | sed "s/^/$n | /"'
    each = f"for n in $({ps}); do {one} & done; wait"
    return as_root(host, each)


def execute(host: Host, project: str, service: str, command: str) -> str:
    """Return shell text that runs a command in a service's newest running container."""
    inside = f'exec docker exec -i "$c" sh -c {shlex.quote(command)}'
    return as_root(host, _newest(project, service, "c") + inside)
