"""PostgreSQL's data: a dump of one moment, and a dump in place of what is there."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deploy.agent.copies.copies import Copies, cluster, leader
from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.files import from_file, to_file
from deploy.agent.host.release import Release

ANSWER_SECONDS = 30.0
MAINTENANCE = "template1"
# The password is in no argument and in no environment but the client's own.
CLIENT = 'PGPASSWORD="$(cat "$1")"; export PGPASSWORD; shift; exec "$@"'
SWAP = b"""\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'now';
BEGIN;
ALTER DATABASE :"now" RENAME TO :"old";
ALTER DATABASE :"new" RENAME TO :"now";
COMMIT;
"""


@dataclass(frozen=True)
class Database:
    """The stack's database in its container; with copies it is the one that is written to.

    Attributes:
        container: Where PostgreSQL's programs are.
        user: Whose the database is.
        name: What it is called.
        host: Where it is asked; empty for the container itself.
        password: The file with the user's password in the container; asked for by another host.
    """

    container: str
    user: str
    name: str
    host: str = ""
    password: str = ""

    @staticmethod
    def of(release: Release, container: str) -> "Database":
        """Return the database of a release.

        Raises:
            AgentError: It has copies, and none of them leads.
        """
        facts = release.facts["database"]
        copies = Copies.of(release)
        if copies is None or not copies.postgres:
            return Database(container, facts["user"], facts["name"])
        leads = leader(cluster(copies.members))
        if not leads:
            raise AgentError("postgres: no server leads, so there is nothing to talk to")
        password = release.facts["copies"]["postgres"]["login"]
        return Database(container, facts["user"], facts["name"], leads, password)

    def command(self, program: str, *arguments: str, stdin: bool = False) -> tuple[str, ...]:
        """Return the command that runs one of PostgreSQL's programs in the container."""
        inside = ("docker", "exec", *(["-i"] if stdin else []), self.container)
        if self.host:
            inside = (*inside, "sh", "-c", CLIENT, "sh", self.password)
            return (*inside, program, "-h", self.host, "-U", self.user, *arguments)
        return (*inside, program, "-U", self.user, *arguments)

    @property
    def restored(self) -> str:
        """The name of the database that a dump is read into."""
        return f"{self.name}_restored"

    @property
    def replaced(self) -> str:
        """The name that today's database has on its way out."""
        return f"{self.name}_replaced"


class Session:
    """One psql that stays open: what it has begun lasts until the context is left."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, sql: str) -> str:
        """Return the one line that some SQL answers.

        Raises:
            AgentError: It failed, or took longer than ANSWER_SECONDS.
        """
        patience = threading.Timer(ANSWER_SECONDS, self._process.kill)
        patience.start()
        try:
            _pipe(self._process.stdin).write(f"{sql};\n")
            _pipe(self._process.stdin).flush()
            answer = _pipe(self._process.stdout).readline().strip()
        except BrokenPipeError:
            answer = ""
        finally:
            patience.cancel()
        if not answer:
            self._process.kill()
            words = _pipe(self._process.stderr).read().strip().splitlines() or ["no answer"]
            raise AgentError(f"postgres: {words[-1]}")
        return answer


@contextmanager
def session(database: Database) -> Iterator[Session]:
    """Hold a connection to the database inside the block."""
    command = database.command("psql", "-d", database.name, "-qAtX", stdin=True)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            opened = Session(process)
            opened.ask("SELECT 1")
            yield opened
        finally:
            process.kill()


def snapshot(opened: Session) -> str:
    """Begin to see the database as it is now; return what other connections see the same by."""
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    return opened.ask(f"{begin}; SELECT pg_export_snapshot()")


def dump(database: Database, seen: str, path: Path) -> None:
    """Dump the database as a session sees it into a new file."""
    options = ("-d", database.name, "--format", "custom", "--snapshot", seen)
    to_file(database.command("pg_dump", *options), path)


def prepare(database: Database, path: Path) -> None:
    """Read a dump into a database beside today's, which stays as it is."""
    discard(database)
    docker.run(*database.command("createdb", "--maintenance-db", MAINTENANCE, database.restored))
    options = ("-d", database.restored, "--single-transaction", "--exit-on-error")
    from_file(database.command("pg_restore", *options, stdin=True), path)


def discard(database: Database) -> None:
    """Remove what `prepare` has made, and what `swap` has left over."""
    drop = ("--if-exists", "--force", "--maintenance-db", MAINTENANCE)
    for name in (database.restored, database.replaced):
        docker.run(*database.command("dropdb", *drop, name))


def swap(database: Database) -> None:
    """Put the prepared database in the place of today's, in one step, and remove today's."""
    names = {"now": database.name, "new": database.restored, "old": database.replaced}
    given = [word for name, text in names.items() for word in ("-v", f"{name}={text}")]
    options = ("-d", MAINTENANCE, "-qAtX", "-v", "ON_ERROR_STOP=1", *given)
    docker.run(*database.command("psql", *options, stdin=True), stdin=SWAP)
    with contextlib.suppress(AgentError):  # it is in place; the next restore clears away the rest
        discard(database)


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise AssertionError("a pipe was asked for")
    return stream
