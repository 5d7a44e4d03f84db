# Every kernel of the cuda device compiles for sm_80, sm_90 and sm_100 (those the
# toolkit knows), and none keeps registers in memory.
set -eu
nvcc=${NVCC:-}
[ "$nvcc" ] || nvcc=$(command -v nvcc) || nvcc=/usr/local/cuda/bin/nvcc
[ -x "$nvcc" ] || { echo 'skipped: no nvcc'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
known=$("$nvcc" --list-gpu-arch 2>/dev/null || echo compute_80)
arch=
for n in 80 90 100; do
	case $known in
	*compute_$n*) arch="$arch -gencode arch=compute_$n,code=sm_$n" ;;
	*) echo "this nvcc does not know sm_$n" ;;
	esac
done
bad=0
for cu in "$srcdir"/kernels/cuda/*.cu; do
	name=${cu##*/}
	# A word for each option: the list has blanks for that.
	# shellcheck disable=SC2086
	if ! "$nvcc" -std=c++17 -O3 $arch -Xptxas -v -I"$srcdir/include" \
		-c "$cu" -o "$tmp/out.o" >"$tmp/log" 2>&1; then
		cat "$tmp/log"
		echo "$name does not compile"
		exit 1
	fi
	awk -v file="$name" '
	/Compiling entry function/ { split($0, q, "\047"); name = q[2]; arch = q[4] }
	/bytes stack frame/ { spill = $5 + $9; stack = $1 }
	/Used [0-9]+ registers/ {
		sub(/.*Used /, "")
		printf "%-22s %-7s %4d registers %4d stack %4d spilled  %s\n",
			file, arch, $1, stack, spill, name
		if (spill > 0)
			bad = 1
	}
	END { exit bad }' "$tmp/log" || bad=1
done
[ $bad = 0 ] || echo 'registers are spilled: see above'
exit $bad
