#!/usr/bin/env bash
# Builds the container image from what release.sh made:
#
#   packaging/image.sh TARBALL NAME      dist/deich-1.2.0-linux-amd64.tar.gz deich:1.2.0
#
# It asks no registry: the image begins from nothing. Debian's buildah builds it.
set -euo pipefail
umask 022
[ $# = 2 ] || { echo "image: name a release tarball and the image" >&2; exit 2; }
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work"/{release,root,state}
tar -xzf "$1" -C "$work/release" --strip-components=1
arch=${1%.tar.gz} arch=${arch##*-}
install -D -m 0755 "$work/release/deich" "$work/root/usr/bin/deich"
install -D -m 0644 "$work/release/deich.yaml" "$work/root/etc/deich/deich.yaml"
install -D -m 0644 -t "$work/root/usr/share/doc/deich" "$work/release/LICENSE" "$work/release/NOTICES"
install -d -m 0755 "$work/root/var/lib"
# The image's times are the release's.
epoch=$(stat -c %Y "$work/release/deich")
buildah build --quiet --isolation chroot --arch "$arch" --timestamp "$epoch" \
  --file "$here/Dockerfile" --tag "$2" "$work"
