#!/bin/sh
# Import `debian:trixie-slim`, made by mmdebstrap from Debian's packages: for machines where no
# image registry answers. `docker/postgres/Dockerfile.debian` then builds as it does elsewhere.
#
#     docker/base.sh            refuses when the image is there already
#     docker/base.sh --force    makes it anew, with today's packages
#
# TA_LAB2_MIRROR names another Debian mirror (its main suite only, without security updates).
# Needs mmdebstrap and uidmap, 40 s and 0.5 GB. Stopped at any moment it leaves no image.
set -eu

tag=debian:trixie-slim

say() { printf '%s\n' "$*" >&2; }
refuse() { say "error: $1"; say "  $2"; exit 2; }

case "${1-}" in
    '' | --force) ;;
    *) refuse "base.sh does not know $1" "Say --force, or nothing." ;;
esac
command -v docker >/dev/null || refuse "docker is not installed" "Run: apt-get install docker.io"
command -v mmdebstrap >/dev/null ||
    refuse "mmdebstrap is not installed" "Run: apt-get install mmdebstrap uidmap"
docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    refuse "no Docker engine answers" "Start it: systemctl start docker"
if [ "${1-}" != --force ] && docker image inspect "$tag" >/dev/null 2>&1; then
    refuse "the image $tag is there already" "Say --force to replace it by one made here."
fi

# A pipe would import half a tree as a whole image when mmdebstrap dies. The file has no name
# from its first moment on, so that nothing is left of it however this ends.
file=$(mktemp "${TMPDIR:-/var/tmp}/ta-lab2-base.XXXXXX")
exec 3>"$file" 4<"$file"
rm "$file"

say "building $tag with mmdebstrap (40 s)"
# unshare even for root: the default mode mounts the host's /dev/shm into the tree.
mmdebstrap --mode=unshare --variant=minbase --skip=output/dev \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    trixie - ${TA_LAB2_MIRROR:+"$TA_LAB2_MIRROR"} >&3
docker import --change 'CMD ["bash"]' --message 'made by docker/base.sh' - "$tag" <&4 >/dev/null
say "imported $tag"
