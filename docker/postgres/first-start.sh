# Begin the community image's first start again where the last one was cut short: its own
# entrypoint takes a half-made data directory for a whole one.
#
#     sh first-start.sh ENTRYPOINT [ARGUMENT]...
#
# The mark is set before anything is made, and taken away by whole.sh, the last of the scripts
# that the entrypoint runs once. Nothing is deleted here: what was half made is put aside.
set -eu

mark=$PGDATA.first-start
if [ -e "$mark" ]; then
    aside=$PGDATA.cut-short-$(date +%s)
    echo "the first start was cut short; beginning again, its remains are in $aside" >&2
    [ ! -e "$PGDATA" ] || mv -T "$PGDATA" "$aside"
elif [ ! -s "$PGDATA/PG_VERSION" ]; then
    : >"$mark"
fi
exec "$@"
