"""What `provision` writes on a server, as text that other programs have to accept."""

import json
import subprocess

import pytest

from deploy.errors import ConfigError
from deploy.server import firewall, scheduled, server_files


def test_the_firewall_is_a_program_that_the_shell_understands() -> None:
    """With ports and without."""
    for ports in ((), (443, 80)):
        text = firewall.program(ports, (22,))
        checked = subprocess.run(("sh", "-n"), input=text.encode(), check=False)
        assert checked.returncode == 0
        assert "@" not in text
    assert "80 443" in firewall.program((443, 80, 443), (22,))


def test_no_firewall_is_made_that_would_shut_ssh_out() -> None:
    """The port is written down where sshd can be asked for it, or nothing is closed."""
    assert 'ssh="22 2222 ' in firewall.program((), (2222, 22, 22))
    with pytest.raises(ConfigError, match="nothing is closed"):
        firewall.program((443,), ())


def test_another_set_of_ports_is_another_firewall() -> None:
    """So that the next provision notices that the rules in force are not the wanted ones."""
    texts = [firewall.program(ports, (22,)) for ports in ((), (80,), (81,))]
    texts.append(firewall.program((), (2222,)))
    assert len({server_files.digest(text) for text in texts}) == 4


def test_boot_finishes_what_a_cut_over_began() -> None:
    """With systemd after Docker, and only where a release was ever begun; without it by cron."""
    units = scheduled.files("/srv/herald", "", systemd=True)
    text = units["/etc/systemd/system/herald-recover.service"]
    assert "After=docker.service" in text
    assert "ConditionPathExists=/srv/herald/agent.pyz" in text
    ((path, text),) = scheduled.files("/srv/herald", "", systemd=False).items()
    assert path == "/etc/cron.d/herald"
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["@reboot", "@reboot"]


@pytest.mark.parametrize("systemd", [True, False])
def test_data_is_backed_up_by_itself_only_where_that_is_wanted(*, systemd: bool) -> None:
    """And as often as the inventory says."""
    without = "".join(scheduled.files("/srv/herald", "", systemd=systemd).values())
    assert "backup" not in without
    for every in scheduled.EVERY:
        text = "".join(scheduled.files("/srv/herald", every, systemd=systemd).values())
        assert (f"OnCalendar={every}\n" if systemd else f"\n@{every} root ") in text
        assert "--who timer backup --wait" in text


def test_docker_keeps_containers_running_while_it_restarts_itself() -> None:
    """Its settings are JSON, and the logs of containers cannot fill the disk."""
    settings = json.loads(server_files.DAEMON)
    assert settings["live-restore"] is True
    assert set(settings["log-opts"]) == {"max-size", "max-file"}
