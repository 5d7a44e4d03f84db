# The transport does not compile with an NCCL older than 2.18, and says what helps.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# compiles VERSION: library.h, with an nccl.h of that version.
compiles() {
	cat >"$tmp/nccl.h" <<EOF
#define NCCL_VERSION(x, y, z) ((x) * 10000 + (y) * 100 + (z))
#define NCCL_VERSION_CODE $1
EOF
	$CC -E -I"$tmp" -I"$srcdir/include" \
		"$srcdir/plugins/transports/nccl/library.h" >"$tmp/out" 2>"$tmp/err"
}
compiles 21800 || { cat "$tmp/err"; echo '2.18 is refused'; exit 1; }
! compiles 21703 || { echo '2.17 compiles'; exit 1; }
grep -q 'nccl.h is older than 2.18: install a newer NCCL, or configure --with' \
	"$tmp/err" || { cat "$tmp/err"; echo '2.17 is refused with other words'; exit 1; }
