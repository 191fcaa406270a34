"""What holds for every host; an environment's file and a host's own data win over it."""

ssh_user = "deploy"
root = "/srv/herald"
# Ports open to the world besides SSH; everything else is closed, published ports of Docker too.
firewall_ports: list[int] = []
# Made where a host has no swap at all.
swap_megabytes = 1024
