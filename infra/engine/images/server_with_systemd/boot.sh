#!/bin/bash
# Before systemd: host keys, and root's key from the environment.
set -euo pipefail

if [[ -z ${AUTHORIZED_KEY:-} ]]; then
    echo 'set AUTHORIZED_KEY to the public key that root logs in with' >&2
    exit 78
fi
install --directory --mode=0700 ~root/.ssh
printf '%s\n' "$AUTHORIZED_KEY" >~root/.ssh/authorized_keys
chmod 0600 ~root/.ssh/authorized_keys
ssh-keygen -A >/dev/null
# Journal output is seen by `docker logs` on the console of the container.
exec env -i container=docker PATH="$PATH" /sbin/init --log-target=console
