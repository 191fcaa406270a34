#!/bin/bash
# Starts Redis as the official image's entrypoint does; what that does was read in
# https://github.com/redis/docker-library-redis/blob/release/8.6/debian/docker-entrypoint.sh
set -euo pipefail

# "-…" and "….conf" are arguments of redis-server; anything else is a command of its own.
case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [[ ${1:-} != redis-server && ${1:-} != */redis-server ]]; then
    exec "$@"
fi

# Is capability number $1 in the bounding set? CAP_SETGID is 6, CAP_SETUID is 7.
has_capability() {
    local name value
    while read -r name value; do
        if [[ $name == CapBnd: ]]; then
            (((16#$value >> $1) & 1))
            return
        fi
    done </proc/self/status
    return 1
}

# Gives the data folder to redis where redis can't use it, but only when everything in it looks
# like Redis's own: whatever else may have been mounted by mistake stays as it is.
own_data_folder() {
    local stranger path
    stranger=$(find . -mindepth 1 -maxdepth 1 ! -name '*.rdb' ! '(' -type d -name appendonlydir ')' -print -quit)
    if [[ -n $stranger ]]; then
        echo "Leaving the owner of $PWD as it is: $stranger is not a file of Redis" >&2
        return
    fi
    while IFS= read -r -d '' path; do
        if ! as_redis test -r "$path" -a -w "$path"; then
            chown redis "$path" && chmod u+rwX "$path" || echo "Could not give $path to redis" >&2
        fi
    done < <(find . -print0)
}

as_redis() {
    setpriv --reuid=redis --regid=redis --clear-groups "$@"
}

# Root becomes redis for good, without capabilities and without a way back. A container that may
# not change its user (cap_drop: [ALL] without user:) stays root, here as there.
if [[ $(id -u) == 0 && -z ${SKIP_DROP_PRIVS:-} ]] && has_capability 6 && has_capability 7; then
    if [[ -z ${SKIP_FIX_PERMS:-} ]]; then
        own_data_folder
    fi
    exec setpriv --reuid=redis --regid=redis --clear-groups --nnp \
        --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$0" "$@"
fi

if [[ $(umask) == 0022 ]]; then
    umask 0077
fi

# The official binary is compiled with protected mode off. Debian's is told so, unless the command
# line or the configuration file has its own word on it.
config=/dev/null
if [[ -n ${2:-} && ${2:0:1} != - ]]; then
    config=$2
fi
if [[ " $* " != *" --protected-mode "* ]] && ! grep -qsiE '^[[:space:]]*protected-mode[[:space:]]' "$config"; then
    set -- "$@" --protected-mode no
fi
exec "$@"
