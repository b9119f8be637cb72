# Make the data directory at the first start, then become PostgreSQL.
#
#     sh entrypoint.sh postgres [-c name=value]...
#
# POSTGRES_PASSWORD_FILE   the superuser's password: a file, never a variable's value
# POSTGRES_INITDB_ARGS     how the data directory is made
# POSTGRES_DB              a database to make at the same time
# (The community image's own entrypoint reads the same three.)
#
# Whatever is killed in here, the next start goes on: the directory has its name only when it
# is whole.
set -eu

fail() { echo "error: $1" >&2; exit 1; }

[ "${1-}" = postgres ] || exec "$@"

if [ ! -e "$PGDATA" ]; then
    [ -r "${POSTGRES_PASSWORD_FILE:-}" ] ||
        fail "POSTGRES_PASSWORD_FILE names no readable file; mount the password as a secret"
    aside=$PGDATA.partial
    rm -rf "$aside"
    # shellcheck disable=SC2086  # several arguments in one variable
    initdb --no-instructions --pgdata="$aside" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    if [ -n "${POSTGRES_DB:-}" ] && [ "$POSTGRES_DB" != postgres ]; then
        # Made before the server first runs, because pg_cron looks for it at once.
        quoted=$(printf '%s' "$POSTGRES_DB" | sed 's/"/""/g')
        printf 'create database "%s"\n' "$quoted" |
            postgres --single -c exit_on_error=on -D "$aside" postgres >/dev/null
    fi
    sync "$aside/PG_VERSION" "$aside"
    mv -T "$aside" "$PGDATA"
fi

[ -e "$PGDATA/PG_VERSION" ] || fail "$PGDATA is not a data directory; empty the volume or move it"
found=$(cat "$PGDATA/PG_VERSION")
[ "$found" = 17 ] ||
    fail "the data in $PGDATA are PostgreSQL $found's; this is 17: dump them with $found, restore here"

exec "$@"
