#!/usr/bin/env bash
# Makes everything that a release consists of, in the folder given (dist):
#
#   deich-VERSION-linux-ARCH.tar.gz   the static binary, with all that goes with it
#   deich_VERSION_ARCH.deb, deich-VERSION-1.ARCH.rpm
#   deich-VERSION-linux-ARCH.cdx.json the bill of materials
#   SHA256SUMS
#
# The same commit and the same Go give the same bytes, wherever, whenever and by
# whomever: nothing below takes a time, a name, a path or a mask from the machine.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:-dist}")
# What nFPM is built from is fixed by its version and the module proxy's sums.
# Later versions need modules that the module proxy does not hand out.
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
read -r -a arches <<<"${ARCHES:-amd64 arm64}"

VERSION=${VERSION:-$(packaging/version.sh)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)

# The environment of whoever builds decides nothing.
export GOOS=linux CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= GOWORK=off

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/deich[-_]* "$out"/SHA256SUMS

native() { GOOS='' GOARCH='' go "$@"; } # what runs here, not what is shipped

say() { printf 'release: %s\n' "$*" >&2; }

say "version $VERSION"
native build -trimpath -buildvcs=false -o "$work/sbom" ./packaging/sbom
native build -trimpath -buildvcs=false -ldflags "-X main.version=$VERSION" -o "$work/here" ./cmd/deich
# A go run of a named version would read GOOS as that of what it runs.
GOOS='' GOARCH='' GOBIN="$work" go install -trimpath "$nfpm"

for arch in "${arches[@]}"; do
  say "$arch"
  tree=$work/$arch/deich-$VERSION
  mkdir -p "$tree"/completions
  GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o "$tree/deich" ./cmd/deich
  "$work/here" describe man --date "$date" >"$tree/deich.1"
  for shell in bash zsh fish; do "$work/here" describe "$shell" >"$tree/completions/deich.$shell"; done
  "$work/sbom" -notices "$tree/deich" >"$tree/NOTICES"
  cp LICENSE packaging/deich.yaml "$tree"
  cp -R packaging/systemd packaging/prometheus packaging/grafana "$tree"
  find "$tree" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
  chmod 755 "$tree/deich"
  gzip -9n <"$tree/deich.1" >"$work/$arch/deich.1.gz"

  "$work/sbom" -version "$VERSION" -time "$SOURCE_DATE_EPOCH" "$tree/deich" >"$out/deich-$VERSION-linux-$arch.cdx.json"
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar \
    -C "$work/$arch" -cf - "deich-$VERSION" | gzip -9n >"$out/deich-$VERSION-linux-$arch.tar.gz"
  for kind in deb rpm; do
    ARCH=$arch TREE=$tree WORK=$work/$arch "$work/nfpm" package --config packaging/nfpm.yaml --packager "$kind" --target "$out" >/dev/null
  done
done

cd "$out"
chmod 644 deich[-_]*
sha256sum deich[-_]* >SHA256SUMS
chmod 644 SHA256SUMS
say "$(wc -l <SHA256SUMS) files in $out"
