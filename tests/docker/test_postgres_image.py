"""Claims about postgres:17 that hold for the official image and for its stand-in.

Read in https://github.com/docker-library/postgres/tree/master/17/trixie
"""

import gzip
from pathlib import Path

import pytest

from tests.docker.containers import HARDENED, OWNER, Engine, until

IMAGE = "postgres:17"
# A database that lives for one test need not be on the disk before it starts.
PASSWORD = ("--env", "POSTGRES_PASSWORD=let-me-in", "--env", "POSTGRES_INITDB_ARGS=--no-sync")
DATA = "/var/lib/postgresql/data"
READY = "PostgreSQL init process complete; ready for start up."


def answers(docker: Engine, container: str) -> bool:
    """Tell whether the server takes connections over TCP, which it does not while it is made."""
    ready = ("pg_isready", "--quiet", "--host", "127.0.0.1", "--username", "postgres")
    return docker.command("exec", container, *ready).returncode == 0


def serve(docker: Engine, *options: str, run: tuple[str, ...] = ()) -> str:
    """Start a server and wait until it takes connections."""
    container = docker.start(IMAGE, *options, run=run)
    until(lambda: answers(docker, container))
    return container


def ask(docker: Engine, container: str, query: str, user: str = "postgres", base: str = "") -> str:
    """Return the answer to a query, asked over the socket."""
    psql = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--username", user)
    return docker.inside(container, *psql, "--dbname", base or user, "--command", query)


def test_settings_of_the_image(docker: Engine) -> None:
    """The volume, port, entrypoint, command and stop signal are the official ones."""
    settings = docker.image(IMAGE)
    assert list(settings["Volumes"]) == [DATA]
    assert list(settings["ExposedPorts"]) == ["5432/tcp"]
    assert settings["Entrypoint"] == ["docker-entrypoint.sh"]
    assert settings["Cmd"] == ["postgres"]
    assert settings["StopSignal"] == "SIGINT"
    assert settings["User"] == ""
    assert {f"PGDATA={DATA}", "PG_MAJOR=17", "LANG=en_US.utf8"} <= set(settings["Env"])


def test_postgres_is_user_999(docker: Engine) -> None:
    """Compose names uid and gid as numbers, so they have to be these."""
    assert docker.once(IMAGE, run=("id", "-u", "postgres")) == "999"
    assert docker.once(IMAGE, run=("id", "-g", "postgres")) == "999"
    assert docker.once(IMAGE, run=(*OWNER, "/var/run/postgresql")) == "999:999"


def test_it_is_postgresql_17(docker: Engine) -> None:
    """The server's programs are in PATH, and are of version 17."""
    assert "(PostgreSQL) 17." in docker.once(IMAGE, run=("postgres", "--version"))
    assert "(PostgreSQL) 17." in docker.once(IMAGE, run=("pg_isready", "--version"))


def test_variables_name_user_and_database(docker: Engine) -> None:
    """POSTGRES_USER is a superuser, POSTGRES_DB a database in UTF-8 that the locale sorts."""
    names = ("--env", "POSTGRES_USER=herald", "--env", "POSTGRES_DB=commands")
    container = serve(docker, *PASSWORD, *names)
    query = "SELECT current_user, usesuper FROM pg_user WHERE usename = current_user"
    assert ask(docker, container, query, "herald", "commands") == "herald|t"
    assert ask(docker, container, "SHOW server_encoding", "herald", "commands") == "UTF8"
    query = "SELECT datcollate FROM pg_database WHERE datname = 'commands'"
    assert ask(docker, container, query, "herald", "commands") == "en_US.utf8"


def test_the_database_is_called_like_its_user(docker: Engine) -> None:
    """Without POSTGRES_DB the database has the name in POSTGRES_USER."""
    container = serve(docker, *PASSWORD, "--env", "POSTGRES_USER=herald")
    assert ask(docker, container, "SELECT current_database()", "herald") == "herald"


def test_neighbours_need_the_password(docker: Engine) -> None:
    """Another container connects with the password, and not with a wrong one."""
    network = docker.network()
    serve(docker, *PASSWORD, "--network", network, "--network-alias", "base")
    query = ("psql", "--host", "base", "--username", "postgres", "--command", "SELECT 1")
    right = ("run", "--rm", "--network", network, "--env", "PGPASSWORD=let-me-in", IMAGE)
    wrong = ("run", "--rm", "--network", network, "--env", "PGPASSWORD=guess", IMAGE)
    assert docker.command(*right, *query).returncode == 0
    refused = docker.command(*wrong, *query)
    assert refused.returncode != 0
    assert "password authentication failed" in refused.stderr


def test_trust_needs_no_password(docker: Engine) -> None:
    """POSTGRES_HOST_AUTH_METHOD=trust lets everybody in, and asks for no password."""
    container = serve(docker, "--env", "POSTGRES_HOST_AUTH_METHOD=trust")
    query = ("psql", "--host", "127.0.0.1", "--username", "postgres", "--command", "SELECT 1")
    assert docker.command("exec", container, *query).returncode == 0


def test_secrets_come_from_files(docker: Engine, tmp_path: Path) -> None:
    """POSTGRES_PASSWORD, _USER and _DB may each be in a file, and stay out of the environment."""
    for name, value in (("password", "from-a-file"), ("user", "herald"), ("db", "commands")):
        (tmp_path / name).write_text(f"{value}\n")
        (tmp_path / name).chmod(0o644)
    files = [
        word
        for name in ("password", "user", "db")
        for word in ("--env", f"POSTGRES_{name.upper()}_FILE=/run/secrets/{name}")
    ]
    tmp_path.chmod(0o755)
    container = serve(docker, "--volume", f"{tmp_path}:/run/secrets:ro", *files)
    # initdb trusts whoever comes over loopback; the container's own address is everybody else's.
    address = docker.inside(container, "hostname", "-i")
    query = ("psql", "--host", address, "--username", "herald", "--dbname", "commands")
    enter = ("exec", "--env", "PGPASSWORD=from-a-file", container)
    assert docker.command(*enter, *query, "--command", "SELECT 1").returncode == 0
    settings = docker("inspect", "--format", "{{json .Config.Env}}", container)
    assert "from-a-file" not in settings


def test_a_secret_twice_is_an_error(docker: Engine) -> None:
    """POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE together end the container, both named."""
    container = docker.start(IMAGE, *PASSWORD, "--env", "POSTGRES_PASSWORD_FILE=/run/secrets/x")
    assert docker.exit_code(container) == 1
    assert "POSTGRES_PASSWORD" in docker.logs(container)
    assert "POSTGRES_PASSWORD_FILE" in docker.logs(container)


def test_a_missing_password_is_an_error(docker: Engine) -> None:
    """A new database without a password ends the container, and the variable is named."""
    container = docker.start(IMAGE)
    assert docker.exit_code(container) == 1
    assert "POSTGRES_PASSWORD" in docker.logs(container)


def test_initdb_gets_its_arguments(docker: Engine) -> None:
    """POSTGRES_INITDB_ARGS are arguments of initdb, quoted as in a shell."""
    arguments = "POSTGRES_INITDB_ARGS=--data-checksums --auth-local='scram-sha-256'"
    container = serve(docker, *PASSWORD, "--env", arguments)
    assert "scram-sha-256" in docker.inside(container, "cat", f"{DATA}/pg_hba.conf")
    enter = ("exec", "--env", "PGPASSWORD=let-me-in", container)
    query = ("psql", "--username", "postgres", "--tuples-only", "--no-align")
    shown = docker(*enter, *query, "--command", "SHOW data_checksums")
    assert shown == "on"


def test_scripts_run_once_and_in_order(docker: Engine, tmp_path: Path) -> None:
    """SQL, packed SQL and shell scripts run by name when the database is made, and never again."""
    (tmp_path / "1.sql").write_text("CREATE TABLE steps (name text);")
    (tmp_path / "2.sql.gz").write_bytes(gzip.compress(b"INSERT INTO steps VALUES ('packed');"))
    insert = "psql --username postgres --command \"INSERT INTO steps VALUES ('$0')\"\n"
    run = tmp_path / "3.sh"
    run.write_text("#!/bin/bash\n" + insert.replace("$0", "run"))
    run.chmod(0o755)
    (tmp_path / "4.sh").write_text(insert.replace("$0", "sourced"))
    (tmp_path / "5.txt").write_text("neither")
    tmp_path.chmod(0o755)
    mount = f"{tmp_path}:/docker-entrypoint-initdb.d:ro"
    container = serve(docker, *PASSWORD, "--volume", mount)
    assert ask(docker, container, "SELECT * FROM steps").split() == ["packed", "run", "sourced"]
    docker("restart", container)
    until(lambda: answers(docker, container))
    assert ask(docker, container, "SELECT count(*) FROM steps") == "3"


def test_nobody_connects_while_the_database_is_made(docker: Engine, tmp_path: Path) -> None:
    """The server listens on no address until the scripts have run, then says that it is done."""
    script = tmp_path / "1.sh"
    script.write_text("#!/bin/bash\n! pg_isready --host 127.0.0.1 && echo NOBODY-LISTENS\n")
    script.chmod(0o755)
    tmp_path.chmod(0o755)
    mount = f"{tmp_path}:/docker-entrypoint-initdb.d:ro"
    container = serve(docker, *PASSWORD, "--volume", mount)
    logs = docker.logs(container)
    assert "NOBODY-LISTENS" in logs
    assert READY in logs


def test_a_failing_script_ends_the_container(docker: Engine, tmp_path: Path) -> None:
    """A script with an error in it is no database that works."""
    (tmp_path / "1.sql").write_text("SELECT nonsense;")
    tmp_path.chmod(0o755)
    mount = f"{tmp_path}:/docker-entrypoint-initdb.d:ro"
    container = docker.start(IMAGE, *PASSWORD, "--volume", mount)
    assert docker.exit_code(container) != 0


def test_an_existing_database_is_kept(docker: Engine) -> None:
    """Another password for a volume that holds a database changes nothing."""
    mount = ("--volume", f"{docker.volume()}:{DATA}")
    first = serve(docker, *PASSWORD, *mount)
    ask(docker, first, "CREATE TABLE kept ()")
    docker("stop", first)
    second = serve(docker, *mount)
    assert ask(docker, second, "SELECT count(*) FROM kept") == "0"
    assert READY not in docker.logs(second)


@pytest.mark.parametrize("user", [(), ("--user", "999:999")])
def test_data_belong_to_postgres_alone(docker: Engine, user: tuple[str, ...]) -> None:
    """Started as root or as postgres, the data folder is 0700 and the server no root."""
    container = serve(docker, *PASSWORD, *user, "--volume", f"{docker.volume()}:{DATA}")
    assert docker.inside(container, "stat", "--format", "%u:%g %a", DATA) == "999:999 700"
    assert "999" in docker.inside(container, "grep", "Uid", "/proc/1/status").split()


def test_a_hardened_server_works(docker: Engine) -> None:
    """Read-only, without capabilities, as 999: two tmpfs and a volume are all it needs."""
    options = (*HARDENED, "--user", "999:999", "--volume", f"{docker.volume()}:{DATA}")
    places = ("--tmpfs", "/tmp", "--tmpfs", "/run/postgresql")  # noqa: S108 — in the container
    container = serve(docker, *PASSWORD, *options, *places)
    ask(docker, container, "CREATE TABLE kept ()")
    docker("kill", container)
    docker("start", container)
    until(lambda: answers(docker, container))
    assert ask(docker, container, "SELECT count(*) FROM kept") == "0"


def test_a_user_without_a_name_works(docker: Engine) -> None:
    """A uid that /etc/passwd does not know makes a database in a folder of its own."""
    folder = ("--env", f"PGDATA={DATA}/own")
    container = serve(docker, *PASSWORD, *folder, "--user", "12345:12345")
    assert docker.inside(container, *OWNER, f"{DATA}/own") == "12345:12345"


def test_options_are_the_servers(docker: Engine) -> None:
    """A command that begins with an option is one of postgres."""
    container = serve(docker, *PASSWORD, run=("-c", "max_connections=7"))
    assert ask(docker, container, "SHOW max_connections") == "7"


def test_other_commands_run_as_they_are(docker: Engine) -> None:
    """What is not postgres runs as the container's user and asks for no password."""
    assert docker.once(IMAGE, run=("id", "-u")) == "0"


def test_stopping_does_not_wait_for_clients(docker: Engine) -> None:
    """SIGINT is a fast shutdown: an open connection is closed, the exit code is 0."""
    container = serve(docker, *PASSWORD)
    sleeper = ("psql", "--username", "postgres", "--command", "SELECT pg_sleep(600)")
    docker("exec", "--detach", container, *sleeper)
    busy = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    until(lambda: ask(docker, container, busy) == "1")
    docker("stop", "--time", "60", container)
    assert docker.exit_code(container) == 0
    assert "database system is shut down" in docker.logs(container)
