# etc/schedules.md: its pictures are what pipefw draws, every schedule has a row,
# a section and a picture, and formulas, figures and outputs are the program's.
set -u
LC_ALL=C.UTF-8
export LC_ALL
chapter=$srcdir/etc/schedules.md
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "FAIL: $*"
	echo "$*" >>"$tmp/bad"
}

# Pictures.
mkdir "$tmp/drawn"
sh "$srcdir/etc/schedules/draw" "$tmp/drawn" || fail "draw"
pipefw list schedule | sed -n 's/^  \([a-z0-9-]*\) .*/\1/p' >"$tmp/names"
while read -r name; do
	cmp "$tmp/drawn/$name.svg" "$srcdir/etc/schedules/$name.svg" ||
		fail "$name.svg is not what is drawn: make schedule-pictures"
	grep -qx "## $name" "$chapter" || fail "$name has no section"
	grep -q "](schedules/$name.svg)" "$chapter" || fail "$name has no picture"
	grep -q "^| \[\`$name\`\](#$name) " "$chapter" || fail "$name has no row"
done <"$tmp/names"
[ "$(wc -l <"$tmp/names")" -ge 11 ] || fail "schedules are missing"

# What commands say: "$ COMMAND" and its output, up to the closing fence.
awk -v dir="$tmp" '
	/^\$ pipefw / { n++; sub(/^\$ /, ""); print > (dir "/" n ".cmd"); inside = 1; next }
	/^```/ { inside = 0 }
	inside { print > (dir "/" n ".out") }' "$chapter"
for cmd in "$tmp"/*.cmd; do
	sh "$cmd" >"$tmp/said" 2>&1
	diff "${cmd%.cmd}.out" "$tmp/said" || fail "not what $(cat "$cmd") says"
done

# number NAME: that member of the object on standard input.
number() {
	sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" | head -n 1
}

# The figures at p=4, m=8.
sed -n 's/^| \[`\([a-z0-9-]*\)`\][^|]* | \([0-9]\) | `*\([^|`]*\)`* | \([^|]*\) % | \([^|]*\) % | `*\([^|`]*\)`* | \([^|]*\) | \([^|]*\) |$/\1;\2;\3;\4;\5;\6;\7;\8/p' \
	"$chapter" >"$tmp/rows"
[ "$(wc -l <"$tmp/rows")" = "$(wc -l <"$tmp/names")" ] || fail "odd rows"
while IFS=';' read -r name v idle bubble span kept here messages; do
	pipefw schedule "$name" -p 4 -v "$v" -m 8 --format json >"$tmp/json"
	said=$(for member in bubble span_bubble peak_activations messages; do
		number $member <"$tmp/json"
	done | awk 'NR < 3 { printf "%.1f ", 100 * $1; next } { printf "%g ", $1 }')
	[ "$said" = "$bubble $span $here $messages " ] ||
		fail "$name: $bubble $span $here $messages, and the program: $said"
done <"$tmp/rows"

# The formulas, at sizes and times that the chapter says they hold for.
holds() {
	p=$1 v=$2 m=$3 F=$4 I=$5 W=$6
	pipefw schedule "$name" -p "$p" -v "$v" -m "$m" \
		--cost "F=$F,I=$I,W=$W" --format json >"$tmp/json" || {
		fail "$name p=$p v=$v m=$m"
		return
	}
	awk -v p="$p" -v v="$v" -v m="$m" -v F="$F" -v I="$I" -v W="$W" \
		-v bubble="$(number bubble <"$tmp/json")" \
		-v peak="$(number peak_activations <"$tmp/json")" \
		"function off(a, b) { return a - b > 1e-9 || b - a > 1e-9 }
		BEGIN {
			idle = $idle
			exit off(bubble, idle / (idle + m * (F + I + W))) ||
				off(peak, $kept)
		}" || fail "$name: the formulas do not hold at p=$p v=$v m=$m" \
		"F=$F I=$I W=$W"
}
while IFS=';' read -r name v idle bubble span kept here messages; do
	case $name in
	zb-auto) continue ;;
	interleaved | interleaved-zb | breadth-first) chunks='1 2 3 4' ;;
	*) chunks=$v ;;
	esac
	for v in $chunks; do
		for shape in '2 4' '3 6' '4 8' '8 16' '5 25'; do
			# shellcheck disable=SC2086 # p and m
			set -- $shape
			holds "$1" "$v" "$2" 1 1 1
			case $name in
			zb-h2 | zbv | dualpipev) ;;
			*) holds "$1" "$v" "$2" 1.1 1.2 0.9 ;;
			esac
		done
	done
done <"$tmp/rows"
[ ! -e "$tmp/bad" ]
