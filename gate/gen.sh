#!/bin/sh
# The object from the C in bpf/, by one compiler: the same bytes everywhere.
# gate/gen.sh DIR writes it to DIR.
set -eu
cd "$(dirname "$0")"
CLANG=19.1.7
command -v clang-19 >/dev/null || { echo "gate: clang $CLANG is not here (Debian: clang-19, llvm-19)" >&2; exit 3; }
clang-19 --version | grep -q "version $CLANG" || { echo "gate: clang-19 is not $CLANG here" >&2; exit 3; }
exec ${GO:-go} run github.com/cilium/ebpf/cmd/bpf2go \
	-cc clang-19 -target bpfel,bpfeb -go-package gate -tags linux -output-dir "${1:-.}" \
	-cflags '-O2 -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3 -std=gnu11' \
	-type verdict -type sample -type count -type net4 -type net6 -type half6 \
	kernel bpf/gate.c
