# What --dry-run says that a run takes is what it takes, within 3 %: the rows of
# `pipefw bench memory`.
. "$srcdir/tests/e2e/lib.sh"
TMPDIR=$tmp
export TMPDIR

skip() {
	echo "skipped: $*"
	exit 77
}
[ ! "${PIPEFW_VALGRIND-}" ] || skip 'valgrind has memory of its own'
! grep -q '^SAN_CFLAGS = .*-fsanitize' Makefile ||
	skip 'a sanitizer has memory of its own'
[ ! "${PIPEFW_EMULATOR-}" ] || skip 'an emulator has memory of its own'
! grep -q '\[always\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null ||
	skip 'huge pages are given to whoever does not want them'
unset MALLOC_PERTURB_

says 0 '' pipefw bench memory --quick --json
! grep -q '"event":"skip"' "$tmp/out" || {
	cat "$tmp/out"
	exit 77
}
sed 's/.*"work":"\([^"]*\)".*"ratio":\([0-9.]*\),"within":\([0-9.]*\).*/\2 \3 \1/' \
	"$tmp/out" | awk '
	{ off = 1 / $1 - 1
	  printf "%+.2f %% off what was said:", 100 * off
	  for (i = 3; i <= NF; i++) printf " %s%s", $i, i < NF ? "" : "\n"
	  if (off > $2 || off < -$2) failed = 1 }
	END { exit failed || NR < 12 }' || fail 'not what --dry-run said'
