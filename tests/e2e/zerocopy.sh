# A kernel of one stage wrote, and a kernel of the next one read, the same byte
# of the same memfd: forward and backward, and nothing was copied in between.
. "$srcdir/tests/e2e/lib.sh"

# touched RANKS: "WRITER READER KERNEL KERNEL" for every place that the kernels
# of two ranks touched; fails at a place that was read and that no kernel wrote.
touched() {
	awk '
	{ place = $3 " " $4; rank = FILENAME; sub(/.*\./, "", rank) }
	$1 == "W" { writer[place] = rank; with[place] = $2 }
	$1 == "R" { readers[place] = readers[place] rank " " $2 "\n" }
	END {
		for (place in readers) {
			if (!(place in writer)) {
				print "no kernel wrote " place
				exit 1
			}
			n = split(readers[place], list, "\n")
			for (i = 1; i < n; i++) {
				split(list[i], one, " ")
				if (one[1] != writer[place])
					print writer[place], one[1],
						with[place], one[2]
			}
		}
	}' "$tmp/log".* | sort -u
}

# expect LINE...: each is there.
expect() {
	for line; do
		grep -q -x -e "$line" "$tmp/touched" || {
			cat "$tmp/touched"
			echo "$*: no \"$line\""
			exit 1
		}
	done
}

for how in '1f1b 1' 'breadth-first 1' 'interleaved 2' 'sequential 2'; do
	for threads in 1 3; do
		rm -f "$tmp/log".*
		train run --set pipeline.ranks=3 --set data.eval_every=0 \
			--set pipeline.schedule="${how% *}" \
			--set pipeline.chunks="${how#* }" \
			--set pipeline.ranks_per_process=$threads \
			--set device.name="$watched" \
			--set device.log="$tmp/log" || fail "$how: failed"
		grep -q '"event":"end".*"bytes":[1-9].*"copied_bytes":0}' "$tmp/out" ||
			fail "$how: bytes were copied, or none came"
		touched >"$tmp/touched"
		# A block ends with a product and begins with a norm, and its
		# gradient ends with the norm's.
		expect '0 1 gemm layernorm_forward' '1 2 gemm layernorm_forward' \
			'2 1 layernorm_backward gemm' \
			'1 0 layernorm_backward gemm'
	done
done

