# The last script of the community image's first start: from here on the data directory is whole.
rm -f "$PGDATA.first-start"
