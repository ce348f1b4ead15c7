#!/bin/sh
# The objects from their C, by one compiler: the same bytes everywhere.
# gate/gen.sh [DIR BENCHDIR] writes the gate's to DIR, its benchmark's to BENCHDIR.
set -eu
cd "$(dirname "$0")"
CLANG=19.1.7
command -v clang-19 >/dev/null || { echo "gate: clang $CLANG is not here (Debian: clang-19, llvm-19)" >&2; exit 3; }
clang-19 --version | grep -q "version $CLANG" || { echo "gate: clang-19 is not $CLANG here" >&2; exit 3; }
# PACKAGE DIR NAME SOURCE TYPES…
object() {
	package=$1 dir=$2 name=$3 source=$4
	shift 4
	${GO:-go} run github.com/cilium/ebpf/cmd/bpf2go \
		-cc clang-19 -target bpfel,bpfeb -go-package "$package" -tags linux -output-dir "$dir" \
		-cflags '-O2 -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3 -std=gnu11' \
		"$@" "$name" "$source"
}
object gate "${1:-.}" kernel bpf/gate.c -type verdict -type sample -type count -type standing -type net4 -type net6 -type half6
object main "${2:-../bench/gate}" flood ../bench/gate/bpf/flood.c
