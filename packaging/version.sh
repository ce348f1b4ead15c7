#!/usr/bin/env bash
# Prints the version of what is checked out, in a form that dpkg and rpm sort
# rightly: 1.2.0 at the tag v1.2.0, 1.2.0+5.gabc1234 five commits later, and
# 0.0.0~git20260102030405.abc1234 before the first tag, which sorts below any release.
# .dirty follows where something is not committed.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! git rev-parse -q --verify HEAD >/dev/null 2>&1; then
  echo "version: this is no git checkout: set VERSION and SOURCE_DATE_EPOCH" >&2
  exit 1
fi
if tag=$(git describe --tags --match 'v[0-9]*' --long 2>/dev/null); then
  commit=${tag##*-} ahead=${tag%-*} ahead=${ahead##*-} version=${tag%-*-*}
  version=${version#v}
  [ "$ahead" = 0 ] || version+="+$ahead.$commit"
else
  version=0.0.0~git$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd.%h --abbrev=12)
fi
[ -z "$(git status --porcelain)" ] || version+=.dirty
# A tag may name a release to come: 1.2.0-rc.1 sorts below 1.2.0 as 1.2.0~rc.1.
tr - '~' <<<"$version"
