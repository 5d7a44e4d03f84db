#!/bin/sh
# TARGET (boot, config, csv, json, safetensors, bpe) under libFuzzer, ASan and UBSan: RUNS
# inputs, in a build of its own.  A crash leaves crash-* in _check/fuzz.
set -eu
command -v clang >/dev/null || { echo 'fuzz needs clang'; exit 1; }
target=${TARGET:-config}
src=$(cd "$srcdir" && pwd)
flags='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined'
mkdir -p _check/fuzz
cd _check/fuzz
[ -f Makefile ] || "$src/configure" CC=clang \
	CFLAGS="$flags -fsanitize=fuzzer-no-link" >log
# The readers, and the plugins that configs of the corpus name: no more of it.
# shellcheck disable=SC2046
make -s libpipefw.la libpipefwcore.la $(sed -n \
	's,^\(tests/plugins/pipefw-[a-z]*-[a-z]*\.la\):.*,\1,p' Makefile) \
	>>log 2>&1 || { tail log; exit 1; }
# shellcheck disable=SC2086
clang $flags -fsanitize=fuzzer -include config.h -I"$src/include" \
	-I"$src/core" -I"$src/tests" -o "fuzz_$target" \
	"$src/tests/fuzz/$target.c" .libs/libpipefwcore.a \
	$(sed -n 's/^LIBCONFIG_LIBS = //p; s/^LIBS = //p' Makefile)
mkdir -p "corpus-$target"
PIPEFW_PLUGIN_DIR=$PWD/tests/plugins/.libs "./fuzz_$target" \
	-runs="${RUNS:-1000000}" -max_len=4096 -timeout=10 -print_final_stats=1 \
	"corpus-$target" "$src/tests/fuzz/corpus-$target"
