# PyTorch's CSV files, both ways: all that its schedule classes write is read and
# proved, and is the order of the plugin of the same name; and its runtime reads
# what we write, and adds its transfers.
#
#   PIPEFW_PYTHON=DIR/bin/python make check TESTS=tests/schedule/torch.sh
set -u
LC_ALL=C
export LC_ALL
python=${PIPEFW_PYTHON:-python3}
script="$python $srcdir/tests/schedule/torch_csv.py"
"$python" -c 'import torch.distributed.pipelining' 2>/dev/null || {
	echo "skipped: $python has no torch.distributed.pipelining;" \
		"set PIPEFW_PYTHON to one that has"
	exit 77
}
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "FAIL: $*"
	echo "$*" >>"$tmp/bad"
}

# Theirs.
mkdir "$tmp/theirs"
$script dump "$tmp/theirs" 2>"$tmp/err" || { cat "$tmp/err"; exit 1; }
[ "$(find "$tmp/theirs" -name '*.csv' | wc -l)" -gt 300 ] || fail 'few files'
for file in "$tmp"/theirs/*.csv; do
	IFS=. read -r class p v m form <<NAME
${file##*/}
NAME
	# LoopedBFS goes back from the last micro-batch to the first.
	case $class in
	GPipe) ours=gpipe ;;
	Interleaved1F1B) ours=interleaved ;;
	InterleavedZeroBubble) ours=interleaved-zb ;;
	ZBVZeroBubble) ours=zbv ;;
	DualPipeV) ours=dualpipev ;;
	*) ours= ;;
	esac
	if [ ! "$ours" ]; then
		pipefw schedule "$file" --format csv >"$tmp/said" 2>&1 ||
			fail "$class p=$p v=$v m=$m $form: $(cat "$tmp/said")"
		continue
	fi
	pipefw schedule diff "$file" "$ours" -p "$p" -v "$v" -m "$m" \
		>"$tmp/said" 2>&1 && grep -q 'every rank does the same' \
		"$tmp/said" || fail "$class p=$p v=$v m=$m $form: $(cat "$tmp/said")"
done

# Ours, and back.
mkdir "$tmp/ours"
set --
for name in $(pipefw list schedule | sed -n 's/^  \([a-z0-9-]*\) .*/\1/p'); do
	for shape in 2:1:5 2:2:4 3:2:6 4:1:9 4:2:8 4:3:8; do
		p=${shape%%:*} m=${shape##*:}
		v=${shape#*:} v=${v%:*}
		file=$tmp/ours/$name.$p.$v.$m.csv
		pipefw schedule "$name" -p "$p" -v "$v" -m "$m" --format csv \
			>"$file" 2>/dev/null || { rm "$file"; continue; }
		cat "$file" >>"$tmp/wrote"
		set -- "$@" "$p:$((p * v)):$m:$file"
	done
done
[ $# -gt 25 ] || fail "only $# files of ours"
$script load "$@" >"$tmp/read" 2>"$tmp/err" || fail "$(tail -n 5 "$tmp/err")"
diff "$tmp/wrote" "$tmp/read" >/dev/null || fail 'PyTorch reads something else'
echo "$(find "$tmp/theirs" -name '*.csv' | wc -l) files of PyTorch's, $# of ours"
[ ! -e "$tmp/bad" ]
