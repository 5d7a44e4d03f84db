#!/bin/sh
# etc/examples/predict: what the simulator says is what runs, with nothing fitted.
# 8 ranks within 2 %, 64 on whatever cores there are within 5 %; with a hop of
# 0.1 F the schedules come in the simulator's order; and whoever waits leaves its
# core.  PIPEFW_LONG=1: every schedule, and how the error grows as actions shrink.
#
# A row that misses is tried again.  It counts where timers bare of pipefw, before
# and after it, are exact to half of what is asked for.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
script=$srcdir/etc/examples/predict

skip() {
	echo "skipped: $*"
	exit 77
}
[ ! "${PIPEFW_VALGRIND-}" ] || skip 'no times under valgrind'
! grep -q '^SAN_CFLAGS = .*-fsanitize' Makefile || skip 'no times of a sanitizer'

# By how many percent P sleepers overrun, bare.
timers() {
	tests/workbench/timers "$1" 60 5
}

# Rows of $tmp/said that are off by more than $1 %, as the script takes them.
outside() {
	awk -v most="$1" '/ %$/ {
		off = $(NF - 1) < 0 ? -$(NF - 1) : $(NF - 1)
		if (off <= most) next
		n = index($1, ":")
		print n ? substr($1, 1, n - 1) ":" $2 substr($1, n) : $1 ":" $2
	}' "$tmp/said"
}

# Pairs of rows that came the wrong way round; closer than 2 % is a tie.
disorder() {
	awk '/ %$/ { name[++n] = $1; sim[n] = $4; ran[n] = $5 }
	END {
		for (i = 1; i <= n; i++)
			for (k = 1; k <= n; k++)
				if (sim[i] < 0.98 * sim[k] && ran[i] >= ran[k])
					print name[i] ">" name[k]
	}' "$tmp/said"
}

# As it is before or after, whichever is worse.
worse() {
	printf '%s\n' "$1" "$2" | sort -g | tail -n 1
}

# exact P PERCENT: whether the timers were, since $before was taken; in $worst.
exact() {
	worst=$(worse "$before" "$(timers "$1")")
	awk "BEGIN { exit !($worst <= $2 / 2) }"
}

busy=0
# close P PERCENT OPTIONS [ROW]...: all rows in the end, or a machine too busy.
close() {
	p=$1 most=$2 options=$3 bad=0
	shift 3
	for try in 1 2 3 4; do
		before=$(timers "$p")
		sh "$script" -p "$p" $options "$@" | tee "$tmp/said"
		missed=$(outside "$most")
		[ "$missed" ] || return 0
		! exact "$p" "$most" || bad=$((bad + 1))
		set -- $missed
	done
	judge "more than $most % off: $*"
}

# ordered OPTIONS ROW...
ordered() {
	bad=0
	for try in 1 2 3 4; do
		before=$(timers 8)
		sh "$script" "$@" | tee "$tmp/said"
		missed=$(disorder)
		[ "$missed" ] || return 0
		! exact 8 2 || bad=$((bad + 1))
	done
	judge "not the simulator's order:" $missed
}

judge() {
	echo "$*; bare timers are late by $worst %"
	[ $bad -lt 2 ] || exit 1
	busy=$worst
}

# Ranks that wait leave their cores: a quarter of one is more than 8 need.
sparing() {
	times >"$tmp/times"
	sh "$script" -n 3 1f1b:1 >"$tmp/said"
	times >>"$tmp/times"
	awk -F '[ms ]+' -v said="$(tail -n 1 "$tmp/said")" '
	NR % 2 == 0 { was = now; now = 60 * ($1 + $3) + $2 + $4 }
	END {
		split(said, row, " ")
		used = (now - was) / (4 * row[5] / 1000)
		printf "8 ranks use %.0f %% of a core\n", 100 * used
		exit used > 0.25
	}' "$tmp/times"
}

[ "$(getconf _NPROCESSORS_ONLN)" -ge 8 ] || sparing
if [ "${PIPEFW_LONG-}" = 1 ]; then
	close 8 2 ''
	close 64 5 '-m 64' gpipe:1 1f1b:1 zb-h1:1 interleaved:2 zbv:2
	ordered -r -n 3 -d 0.1 gpipe:1 1f1b:1 interleaved:4 \
		interleaved:4:group=16 breadth-first:4
	sh "$script" -t 5,1,0.2
else
	close 8 2 '-m 16 -n 3' 1f1b:1 zbv:2
	ordered -r -n 2 -t 2.5 -d 0.1 1f1b:1 interleaved:4 interleaved:4:group=16
fi
[ "$busy" = 0 ] || skip "the machine is too busy: bare timers are late by $busy %"
