# What the tests of this folder share.
set -u
[ -e .libs/pipefw-verbs-transport.so ] || {
	echo 'skipped: built without libibverbs'
	exit 77
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rdma=$srcdir/tests/rdma

# in_machines [OPTION...] SCRIPT [ARG...]: vm.sh with what was printed shown; ends
# the test where there can be no machine.
in_machines() {
	echo "== $*"
	rm -rf "$tmp/results"
	mkdir "$tmp/results"
	options=
	while :; do
		case $1 in
		-*) options="$options $1 $2" && shift 2 ;;
		*) break ;;
		esac
	done
	script=$(CDPATH= cd -- "$rdma" && pwd)/$1
	shift
	sh "$rdma/vm.sh" $options "$tmp/results" "$script" "$@"
	status=$?
	[ $status != 77 ] || exit 77
	for output in "$tmp"/results/output.*; do
		[ ! -e "$output" ] || { echo "-- ${output##*/}:" && cat "$output"; }
	done
	return $status
}
