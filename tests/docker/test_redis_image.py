"""Claims about redis:8 that hold for the official image and for its stand-in.

Read in https://github.com/redis/docker-library-redis/tree/release/8.6/debian
"""

from pathlib import Path

import pytest

from tests.docker.containers import HARDENED, OWNER, Engine, until

IMAGE = "redis:8"


def answers(docker: Engine, container: str) -> bool:
    """Tell whether the server in a container takes commands."""
    return docker.command("exec", container, "redis-cli", "ping").stdout.strip() == "PONG"


def serve(docker: Engine, *options: str, run: tuple[str, ...] = ()) -> str:
    """Start a server and wait until it takes commands."""
    container = docker.start(IMAGE, *options, run=run)
    until(lambda: answers(docker, container))
    return container


def process_status(docker: Engine, container: str) -> dict[str, str]:
    """Return what the kernel says of the first process in a container."""
    lines = docker.inside(container, "cat", "/proc/1/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_is_redis_8(docker: Engine) -> None:
    """The server is some 8.x, and redis-cli is in PATH."""
    version = docker.once(IMAGE, run=("redis-server", "--version"))
    assert "v=8." in version
    assert docker.once(IMAGE, run=("redis-cli", "--version")).startswith("redis-cli 8.")


def test_settings_of_the_image(docker: Engine) -> None:
    """The working directory, port, entrypoint, command and stop signal are the official ones."""
    settings = docker.image(IMAGE)
    assert settings["WorkingDir"] == "/data"
    assert list(settings["ExposedPorts"]) == ["6379/tcp"]
    assert settings["Entrypoint"] == ["docker-entrypoint.sh"]
    assert settings["Cmd"] == ["redis-server"]
    assert settings["User"] == ""
    assert settings.get("StopSignal") in {None, "SIGTERM"}


def test_redis_is_user_999(docker: Engine) -> None:
    """Compose names uid and gid as numbers, so they have to be these."""
    assert docker.once(IMAGE, run=("id", "-u", "redis")) == "999"
    assert docker.once(IMAGE, run=("id", "-g", "redis")) == "999"
    assert docker.once(IMAGE, run=(*OWNER, "/data")) == "999:999"


def test_root_becomes_redis_without_capabilities(docker: Engine) -> None:
    """The server runs as redis, without a group of root's, a capability or a way back."""
    status = process_status(docker, serve(docker))
    assert set(status["Uid"].split()) == {"999"}
    assert set(status["Gid"].split()) == {"999"}
    assert status["Groups"] in {"", "999"}
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_privileges_are_kept_on_demand(docker: Engine) -> None:
    """SKIP_DROP_PRIVS leaves the server root."""
    container = serve(docker, "--env", "SKIP_DROP_PRIVS=1")
    assert set(process_status(docker, container)["Uid"].split()) == {"0"}


def test_hardened_server_keeps_every_write(docker: Engine) -> None:
    """Read-only, without capabilities, as 999: what was acknowledged is there after a SIGKILL."""
    options = (*HARDENED, "--user", "999:999", "--volume", f"{docker.volume()}:/data")
    run = ("redis-server", "--appendonly", "yes", "--appendfsync", "always")
    container = serve(docker, *options, run=run)
    assert docker.inside(container, "redis-cli", "set", "word", "kept") == "OK"
    docker("kill", container)
    docker("start", container)
    until(lambda: answers(docker, container))
    assert docker.inside(container, "redis-cli", "get", "word") == "kept"
    assert docker.inside(container, *OWNER, "/data/appendonlydir") == "999:999"


def test_without_capabilities_it_needs_a_user(docker: Engine) -> None:
    """A server that must not change its user and is not given one can't write its data."""
    options = ("--cap-drop", "ALL", "--volume", f"{docker.volume()}:/data")
    container = docker.start(IMAGE, *options, run=("redis-server", "--appendonly", "yes"))
    assert docker.exit_code(container) == 1
    assert "Permission denied" in docker.logs(container)


@pytest.mark.parametrize("run", [("--appendonly", "yes"), ("redis-server", "--appendonly", "yes")])
def test_options_are_the_servers(docker: Engine, run: tuple[str, ...]) -> None:
    """A command that begins with an option is one of redis-server."""
    container = serve(docker, run=run)
    value = docker.inside(container, "redis-cli", "config", "get", "appendonly")
    assert value.split() == ["appendonly", "yes"]


def test_a_configuration_file_is_the_servers(docker: Engine, tmp_path: Path) -> None:
    """A command that is a .conf file is a configuration of redis-server."""
    file = tmp_path / "redis.conf"
    file.write_text("maxmemory-policy allkeys-lru\n")
    file.chmod(0o644)
    container = serve(docker, "--volume", f"{file}:/etc/redis.conf:ro", run=("/etc/redis.conf",))
    value = docker.inside(container, "redis-cli", "config", "get", "maxmemory-policy")
    assert value.split() == ["maxmemory-policy", "allkeys-lru"]


def test_other_commands_run_as_they_are(docker: Engine) -> None:
    """What is not redis-server runs as the container's user, with its own arguments."""
    assert docker.once(IMAGE, run=("id", "-u")) == "0"
    assert docker.once(IMAGE, run=("printf", "%s", "--port")) == "--port"


def test_other_containers_connect(docker: Engine) -> None:
    """Protected mode is off: a neighbour in the network needs no password."""
    network = docker.network()
    serve(docker, "--network", network, "--network-alias", "store")
    ping = ("redis-cli", "-h", "store", "ping")
    assert docker.once(IMAGE, "--network", network, run=ping) == "PONG"


def test_protected_mode_can_be_switched_on(docker: Engine) -> None:
    """The command line has the last word on protected mode."""
    container = serve(docker, run=("redis-server", "--protected-mode", "yes"))
    value = docker.inside(container, "redis-cli", "config", "get", "protected-mode")
    assert value.split() == ["protected-mode", "yes"]


def test_a_stopped_server_has_saved(docker: Engine) -> None:
    """SIGTERM saves what was written, for its owner's eyes only, and ends with exit code 0."""
    container = serve(docker, "--volume", f"{docker.volume()}:/data")
    docker.inside(container, "redis-cli", "set", "word", "saved")
    docker("stop", container)
    assert docker.exit_code(container) == 0
    docker("start", container)
    until(lambda: answers(docker, container))
    assert docker.inside(container, "redis-cli", "get", "word") == "saved"
    assert docker.inside(container, "stat", "--format", "%a", "/data/dump.rdb") == "600"


def test_a_folder_of_roots_is_given_to_redis(docker: Engine) -> None:
    """A data folder with nothing but Redis's files changes hands, so that it can be written."""
    mount = f"{docker.volume()}:/data"
    prepare = "mkdir appendonlydir && chown -R 0:0 /data"
    docker.once(IMAGE, "--volume", mount, run=("sh", "-c", prepare))
    container = serve(docker, "--volume", mount, run=("redis-server", "--appendonly", "yes"))
    owner = docker.inside(container, *OWNER, "/data/appendonlydir")
    assert owner.startswith("999:")


def test_a_folder_with_other_files_is_left_alone(docker: Engine) -> None:
    """Where something else lies in the data folder, nobody's files change hands."""
    mount = f"{docker.volume()}:/data"
    prepare = "touch photo.jpg && chown -R 0:0 /data"
    docker.once(IMAGE, "--volume", mount, run=("sh", "-c", prepare))
    container = serve(docker, "--volume", mount)
    assert docker.inside(container, *OWNER, "/data") == "0:0"
    assert docker.inside(container, *OWNER, "/data/photo.jpg") == "0:0"
