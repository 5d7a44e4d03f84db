# Readers of files, and of what strangers send, against random changes of a corpus.  FUZZ_RUNS,
# FUZZ_SEED.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
top=$PWD
fuzz=$(cd "$srcdir/tests/fuzz" && pwd)
cd "$tmp"

run() { # TARGET RUNS
	if ! "$top/tests/fuzz/fuzz_$1" "${FUZZ_RUNS:-$2}" "${FUZZ_SEED:-1}" \
		"$fuzz/corpus-$1"/*; then
		echo "$1: the input, as od -c shows it:"
		od -c fuzz-crash
		exit 1
	fi
}

run csv 50000
run json 50000
run boot 20000
run safetensors 50000
run bpe 1000 # two files are written for each
