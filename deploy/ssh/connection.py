"""pyinfra's SSH connection to a host, made anew when it is lost and ended when it is silent.

Neither paramiko nor TCP notices for minutes that a network drops packets; a watchdog does in 18 s.
"""

import base64
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from paramiko import Agent, Channel, SSHClient, SSHException, Transport
from paramiko.agent import AgentKey
from paramiko.hostkeys import InvalidHostKey
from pyinfra.api.config import Config
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from deploy.errors import ConnectionLostError
from deploy.inventory import Host

CONNECT_SECONDS = 10
ASK_SECONDS = 3.0
SILENT_SECONDS = 15
"""So long after it was asked whether it is there a host may say nothing at all."""


class Connection:
    """One connection, for as many commands as there are. Only what it has made does it close."""

    def __init__(self, host: Host, pyinfra_host: PyinfraHost | None) -> None:
        self.host = host
        self._given = pyinfra_host is not None
        self._pyinfra_host = pyinfra_host or state_of([host]).inventory.get_host(host.name)
        self._mutex = threading.Lock()
        self._watched: Transport | None = None
        self._channels: WeakSet[Channel] = WeakSet()
        # Its words are for who debugs it; what has happened is in the error that is raised here.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def start(self, script: str) -> Channel:
        """Start shell text on the host.

        Raises:
            ConnectionLostError: The host cannot be reached.
        """
        with self._mutex:
            transport = self._transport()
        try:
            channel = transport.open_session()
            channel.exec_command(script)
        except (SSHException, EOFError, OSError) as error:
            raise self.lost(error) from None
        self._channels.add(channel)
        return channel

    def close(self) -> None:
        """End the connection."""
        if not self._given:
            hang_up(self._pyinfra_host)
            for key in self._pyinfra_host.data.get("ssh_paramiko_connect_kwargs", {}).values():
                key.agent.close()

    def lost(self, why: object) -> ConnectionLostError:
        """Return the error that says so."""
        where = f"{self.host.user}@{self.host.address}:{self.host.port}"
        line = " ".join(str(why).split()) or type(why).__name__
        return ConnectionLostError(f"{where} cannot be reached: {line}")

    @property
    def _client(self) -> SSHClient | None:
        client: SSHClient | None = getattr(self._pyinfra_host.connector, "client", None)
        return client

    def _transport(self) -> Transport:
        transport = self._client.get_transport() if self._client else None
        if transport is None or not transport.is_active():
            transport = self._connect()
        if transport is not self._watched:
            self._watched = transport
            threading.Thread(target=self._watch, args=(transport,), daemon=True).start()
        return transport

    def _connect(self) -> Transport:
        hang_up(self._pyinfra_host)
        try:
            known = Path(self.host.known_hosts or "~/.ssh/known_hosts").expanduser()
            known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            known.touch(mode=0o600)
            self._pyinfra_host.connect(show_errors=False, raise_exceptions=True)
        except (PyinfraError, SSHException, OSError) as error:
            hang_up(self._pyinfra_host)
            raise self.lost(error) from None
        transport = self._client.get_transport() if self._client else None
        if transport is None or self._client is None:
            raise self.lost("the connection was lost")
        # pyinfra reads the file once a process: without this any key would do the second time.
        with suppress(SSHException, InvalidHostKey):
            self._client.get_host_keys().load(str(known))
        return transport

    def _watch(self, transport: Transport) -> None:
        """End a connection over which nothing comes any more.

        Seconds are counted and no clock is read: where this process itself was kept from running,
        the answer may be there unread.
        """
        while transport.is_active():
            answered = threading.Event()

            def ask(answered: threading.Event = answered) -> None:
                transport.global_request("keepalive@openssh.com")
                answered.set()

            threading.Thread(target=ask, daemon=True).start()
            silent, before = 0, self._traffic()
            while not answered.wait(1) and transport.is_active():
                now = self._traffic()
                silent, before = silent + 1 if now == before else 0, now
                if silent >= SILENT_SECONDS:
                    transport.close()
            time.sleep(ASK_SECONDS)

    def _traffic(self) -> list[tuple[int, int, int]]:
        """Return what is another thing whenever the host has taken or given something.

        On a slow line its answer stands behind megabytes that are on their way.
        """
        return [
            (channel.out_window_size, channel.in_window_sofar, len(channel.in_buffer))
            for channel in list(self._channels)
        ]


def hang_up(host: PyinfraHost) -> None:
    """End a connection of pyinfra's, whose own disconnect leaves the socket open."""
    if client := getattr(host.connector, "client", None):
        client.close()
    host.disconnect()


def user_of(host: PyinfraHost) -> str | None:
    """Return who is logged in over a connection of pyinfra's; None where there is none."""
    client: SSHClient | None = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    return transport.get_username() if transport else None


def data_of(host: Host) -> dict[str, Any]:
    """Return what pyinfra has to know to connect to a host, and all that its inventory says."""
    data: dict[str, Any] = {
        **host.data,
        "environment": host.environment,
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": host.user,
        "root": host.root,
    }
    if host.known_hosts:
        data["ssh_known_hosts_file"] = host.known_hosts
    data.pop("ssh_key", None)
    if key := in_agent(host.key):
        data["ssh_paramiko_connect_kwargs"] = {"pkey": key}
    elif host.key:
        data["ssh_key"] = host.key
    return data


def state_of(hosts: Sequence[Host], *, look: bool = False) -> State:
    """Return pyinfra's state with some hosts, none of them connected yet.

    Args:
        hosts: Which.
        look: Have operations see what they would change before any is carried out.
    """
    inventory = Inventory(([(host.name, data_of(host)) for host in hosts], {}))  # type: ignore[no-untyped-call] # pyinfra's
    config = Config(CONNECT_TIMEOUT=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    return State(inventory, config, check_for_changes=look)


def in_agent(key: str) -> AgentKey | None:
    """Return what an ssh-agent has of a private key's file, which may be encrypted."""
    try:
        public = base64.b64decode(Path(f"{key}.pub").read_text(encoding="utf-8").split()[1])
        agent = Agent()
    except (OSError, ValueError, IndexError, SSHException):
        return None
    held = next((held for held in agent.get_keys() if held.asbytes() == public), None)
    if held is None:
        agent.close()
    return held
