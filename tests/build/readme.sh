# What README.md shows is what the program says: every block that begins with
# "$ pipefw schedule", and every row of the table of schedules.
set -u
# It shows the drawing of a terminal that has these characters.
LC_ALL=C.UTF-8
export LC_ALL
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
readme=$srcdir/README.md
bad=0

# The blocks: command and output, up to the closing fence.
awk -v dir="$tmp" '
	/^\$ pipefw schedule / { n++; sub(/^\$ /, ""); print > (dir "/" n ".cmd"); inside = 1; next }
	/^```/ { inside = 0 }
	inside { print > (dir "/" n ".out") }' "$readme"
for cmd in "$tmp"/*.cmd; do
	[ -e "$cmd" ] || { echo 'README.md shows no timeline'; exit 1; }
	sh "$cmd" >"$tmp/said" 2>&1
	diff "${cmd%.cmd}.out" "$tmp/said" && continue
	echo "README.md does not show what this says: $(cat "$cmd")"
	bad=1
done

# The rows: | `NAME` | v | bubble formula | figure | memory formula | figure |
rows=$(sed -n 's/^| `\([a-z0-9-]*\)` | \([0-9]*\) | [^|]* | \([0-9.]*\) % | [^|]* | \([0-9.]*\) |$/\1 \2 \3 \4/p' "$readme")
[ "$rows" ] || { echo 'README.md has no table of schedules'; exit 1; }
echo "$rows" | while read -r name v bubble activations; do
	said=$(pipefw schedule "$name" -p 4 -v "$v" -m 16)
	case $said in
	*"idle over ideal $bubble %"*"at most $activations "*) continue ;;
	esac
	echo "README.md says $bubble % and $activations for $name v=$v, the program:"
	echo "$said" | grep -E '^(bubble|activations)'
	echo bad >>"$tmp/bad"
done
[ $bad = 0 ] && [ ! -e "$tmp/bad" ]
