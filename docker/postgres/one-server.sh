# Run a command only if no other container serves the same volume: PostgreSQL's own lock file
# does not see past its pid namespace, and two servers on one directory lose committed data.
#
#     sh one-server.sh COMMAND [ARGUMENT]...
#
# The lock is the kernel's and belongs to the open file, which the server and all its children
# inherit: it goes when the last of them has gone, however they end.
set -eu

exec 9>>"${PGDATA%/*}/.one-server.lock"
if ! flock --nonblock 9; then
    echo "error: another container serves the data in $PGDATA; stop it first" >&2
    exit 1
fi
exec "$@"
