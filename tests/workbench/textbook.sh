#!/bin/sh
# etc/examples/textbook: what is measured is the formula, within a share of it.
# On a busy machine a row is tried again, with longer layers.
set -eu
tolerance=0.2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
script=$srcdir/etc/examples/textbook

sh "$script" -o "$tmp/all.svg" | tee "$tmp/said"
[ "$(grep -c ' % .* %$' "$tmp/said")" = 8 ]
[ "$(grep -c '<rect x="160"' "$tmp/all.svg")" = 8 ]

# The rows whose formula and measurement are too far apart.
outside() {
	awk -v tolerance="$tolerance" '/ % .* %$/ {
		off = $5 - $3
		if (off < 0) off = -off
		if (off > tolerance * $3) print $1 ":" $2
	}' "$tmp/said"
}
for time in 4 8; do
	rows=$(outside)
	[ "$rows" ] || exit 0
	sh "$script" -t $time -o "$tmp/some.svg" $rows | tee "$tmp/said"
done
rows=$(outside)
[ ! "$rows" ] || {
	echo "more than $tolerance of the formula away from it:" $rows
	# The layers sleep, so the load is that of others.
	awk -v cores="$(getconf _NPROCESSORS_ONLN)" '{ exit $1 < cores }' \
		/proc/loadavg || exit 1
	echo "skipped: the machine is too busy to time sleeps (load" \
		"$(cut -d ' ' -f 1 /proc/loadavg))"
	exit 77
}
