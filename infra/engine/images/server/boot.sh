#!/bin/bash
# The init of a test server: lets root in with a key, keeps the Docker engine running where one was
# installed when the server started, and ends both on SIGTERM.
set -euo pipefail

engine=''
stopping=''

# As docker.service does: an engine that ends is started again.
keep_engine() {
    local ended=0
    trap 'stopping=yes; kill "$(</run/docker.pid)" 2>/dev/null || :' TERM
    while [[ -z $stopping ]]; do
        dockerd >>/var/log/dockerd.log 2>&1 &
        # A signal ends the wait, not the engine: wait until it is gone.
        while kill -0 $! 2>/dev/null; do
            wait $! || ended=$?
        done
        [[ -n $stopping ]] || echo "dockerd ended ($ended)" >&2
        sleep 0.5
    done
}

shut_down() {
    kill "$sshd" 2>/dev/null || :
    if [[ -n $engine ]]; then
        kill "$engine" 2>/dev/null || :
        wait "$engine" || :
    fi
}

if [[ -z ${AUTHORIZED_KEY:-} ]]; then
    echo 'set AUTHORIZED_KEY to the public key that root logs in with' >&2
    exit 78
fi
install --directory --mode=0700 ~root/.ssh
printf '%s\n' "$AUTHORIZED_KEY" >~root/.ssh/authorized_keys
chmod 0600 ~root/.ssh/authorized_keys

# What a reboot empties.
rm -rf /run/docker /run/docker.pid /run/docker.sock /run/containerd
mkdir -p /run/sshd
ssh-keygen -A >/dev/null

if command -v dockerd >/dev/null; then
    keep_engine &
    engine=$!
fi
/usr/sbin/sshd -D -e &
sshd=$!
trap shut_down TERM INT
wait "$sshd" || :
wait || :
