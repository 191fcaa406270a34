#!/bin/bash
# Starts PostgreSQL as the official image's entrypoint does; what that does was read in
# https://github.com/docker-library/postgres/blob/master/17/trixie/docker-entrypoint.sh
set -euo pipefail
shopt -s nullglob

fail() {
    echo "Error: $*" >&2
    exit 1
}

# Sets variable $1 from itself, from the file that $1_FILE names, or to $2; both at once is an error.
setting() {
    local name=$1 file=$1_FILE
    if [[ -n ${!name:-} && -n ${!file:-} ]]; then
        fail "$name and $file say the same thing twice: set one of them"
    fi
    if [[ -n ${!name:-} ]]; then
        export "$name=${!name}"
    elif [[ -n ${!file:-} ]]; then
        export "$name=$(<"${!file}")"
    else
        export "$name=${2:-}"
    fi
    unset "$file"
}

# Root makes the folders and gives them to postgres; another user uses them as they are.
prepare_folders() {
    local folder
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA" || :
    mkdir -p /var/run/postgresql || :
    chmod 03775 /var/run/postgresql || :
    if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 0700 "$POSTGRES_INITDB_WALDIR"
    fi
    if [[ $(id -u) == 0 ]]; then
        for folder in "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
            find "$folder" ! -user postgres -exec chown postgres '{}' +
        done
    fi
}

# initdb wants its user to have a name: one that /etc/passwd does not know gets it from nss_wrapper.
make_cluster() {
    local names='' options=()
    if ! getent passwd "$(id -u)" >/dev/null; then
        names=$(mktemp -d)
        echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$names/passwd"
        echo "postgres:x:$(id -g):" >"$names/group"
        export NSS_WRAPPER_PASSWD=$names/passwd NSS_WRAPPER_GROUP=$names/group
        LD_PRELOAD=$(find /usr/lib -name libnss_wrapper.so -print -quit)
        export LD_PRELOAD
    fi
    # The arguments may be quoted, as in a shell: --auth-host='scram-sha-256'.
    eval "options=($POSTGRES_INITDB_ARGS)"
    if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then
        options+=(--waldir "$POSTGRES_INITDB_WALDIR")
    fi
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${options[@]}"
    if [[ -n $names ]]; then
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
        rm -r "$names"
    fi
}

# Everybody who is not on the socket shows a password, hashed as the server hashes passwords.
allow_connections() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-}
    if [[ -z $method ]]; then
        method=$(postgres -C password_encryption "${@:2}")
    fi
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# Runs psql on database $1 as the superuser; the first error ends it.
sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc \
        --username "$POSTGRES_USER" --dbname "$1" "${@:2}"
}

make_database() {
    local found
    found=$(sql postgres --set db="$POSTGRES_DB" --tuples-only <<<"SELECT 1 FROM pg_database WHERE datname = :'db'")
    if [[ -z $found ]]; then
        sql postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
    fi
}

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        echo "$0: $script"
        case $script in
            *.sh)
                if [[ -x $script ]]; then
                    "$script"
                else
                    # shellcheck source=/dev/null
                    source "$script"
                fi
                ;;
            *.sql) sql "$POSTGRES_DB" -f "$script" ;;
            *.sql.gz) gunzip -c "$script" | sql "$POSTGRES_DB" ;;
            *.sql.xz) xzcat "$script" | sql "$POSTGRES_DB" ;;
            *.sql.zst) zstd -dc "$script" | sql "$POSTGRES_DB" ;;
            *) echo "$0: ignored, its name has no ending that is known here" ;;
        esac
    done
}

# A server that only the socket reaches: nobody else sees the database half made.
initialise() {
    if [[ -z $POSTGRES_PASSWORD && ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]]; then
        fail 'a new database needs a password for its superuser: set POSTGRES_PASSWORD'
    fi
    ls /docker-entrypoint-initdb.d >/dev/null
    make_cluster
    allow_connections "$@"
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
    local options=("${@:2}" -c listen_addresses= -p "${PGPORT:-5432}")
    PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${options[@]}")" -w start
    make_database
    run_scripts
    PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    # What waits for a first start waits for these words.
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

if [[ ${1:-} == -* ]]; then
    set -- postgres "$@"
fi

serves() {
    local argument
    [[ ${1:-} == postgres ]] || return 1
    for argument; do
        case $argument in -\? | --help | --describe-config | -V | --version) return 1 ;; esac
    done
}

if serves "$@"; then
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    prepare_folders
    if [[ $(id -u) == 0 ]]; then
        exec gosu postgres "$0" "$@"
    fi
    if [[ -s $PGDATA/PG_VERSION ]]; then
        echo "$0: $PGDATA holds a database already"
    else
        initialise "$@"
    fi
fi

exec "$@"
