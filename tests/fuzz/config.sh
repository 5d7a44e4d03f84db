# The config reader against random changes of a corpus.  FUZZ_RUNS, FUZZ_SEED.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
top=$PWD
corpus=$(cd "$srcdir/tests/fuzz/corpus-config" && pwd)
PIPEFW_PLUGIN_DIR=$top/tests/plugins/.libs
export PIPEFW_PLUGIN_DIR
cd "$tmp"
if ! "$top/tests/fuzz/fuzz_config" "${FUZZ_RUNS:-20000}" "${FUZZ_SEED:-1}" \
	"$corpus"/*; then
	echo 'the input, as od -c shows it:'
	od -c fuzz-crash
	exit 1
fi
