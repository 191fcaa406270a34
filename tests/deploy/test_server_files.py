"""What `provision` writes on a server, as text that other programs have to accept."""

import json
import subprocess

from deploy import server_files


def test_the_firewall_is_a_program_that_the_shell_understands() -> None:
    """With ports and without; SSH's own port is asked for on the server."""
    for ports in ((), (443, 80)):
        text = server_files.firewall(ports)
        checked = subprocess.run(("sh", "-n"), input=text.encode(), check=False)
        assert checked.returncode == 0
        assert "@PORTS@" not in text
    assert "80 443" in server_files.firewall((443, 80, 443))


def test_another_set_of_ports_is_another_firewall() -> None:
    """So that the next provision notices that the rules in force are not the wanted ones."""
    digests = {server_files.digest(server_files.firewall(ports)) for ports in ((), (80,), (81,))}
    assert len(digests) == 3


def test_boot_finishes_what_a_cut_over_began() -> None:
    """With systemd after Docker and only where a release has run; without it by cron."""
    units = server_files.at_boot("/srv/herald", "abc", systemd=True)
    path, text = units["recover"]
    assert path == "/etc/systemd/system/herald-recover.service"
    assert "After=docker.service" in text
    assert "ConditionPathExists=/srv/herald/agent.pyz" in text
    ((path, text),) = server_files.at_boot("/srv/herald", "abc", systemd=False).values()
    assert path == "/etc/cron.d/herald"
    assert all(line.startswith("@reboot root /") for line in text.splitlines())


def test_docker_keeps_containers_running_while_it_restarts_itself() -> None:
    """Its settings are JSON, and the logs of containers cannot fill the disk."""
    found = json.loads(server_files.DAEMON)
    assert found["live-restore"] is True
    assert set(found["log-opts"]) == {"max-size", "max-file"}
