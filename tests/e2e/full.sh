# No room on the disk or in memory: one sentence, and what was saved before stays.
. "$srcdir/tests/e2e/lib.sh"

# A limit on the size of files: the checkpoint's files are larger.
limited() {
	(ulimit -f "$1" && shift && "$@")
}

check_full() {
	[ "$(grep -c '"event":"error"' "$tmp/out")" = 1 ] || fail 'no error object'
	ls "$tmp/run/checkpoints" | grep -v '^step-[0-9]*$' &&
		fail 'leaves half a checkpoint'
	return 0
}

# Slots that no machine has: said before a rank is started.
refuses 11 'channels between ranks want [0-9]* MiB.*make pipeline.microbatch_size' \
	--set model.hidden=4096 --set model.heads=16 --set model.context=512 \
	--set pipeline.microbatch_size=65536

# Nothing was saved before: no model, no half of one.
rm -rf "$tmp/run"
says 12 'File too large\|No space left' limited 400 pipefw run "$tmp/tiny.cfg" \
	--json --quiet --out "$tmp/run"
check_full
[ ! -e "$tmp/run/model" ] || fail 'there is a model'

# Something was: it stays, and can be gone on from.
train run || fail 'failed'
train two --steps 3 || fail 'failed'
says 12 'File too large\|No space left' limited 400 pipefw run "$tmp/tiny.cfg" \
	--json --quiet --out "$tmp/run" --set run.resume="$tmp/run" --steps 3
check_full
says 0 '"event":"end","step":3' pipefw run "$tmp/tiny.cfg" --json --quiet \
	--out "$tmp/run" --set run.resume="$tmp/run" --steps 3
same two run || fail 'what was saved before the disk was full is another'

# A disk that really is full, where one can be made.
mkdir "$tmp/disk"
if mount -t tmpfs -o size=1500k none "$tmp/disk" 2>/dev/null; then
	trap 'umount "$tmp/disk"; rm -rf "$tmp"' EXIT
	status=0
	pipefw run "$tmp/tiny.cfg" --json --quiet --out "$tmp/disk/run" \
		--steps 50 --set run.save_every=1 >"$tmp/out" 2>"$tmp/err" ||
		status=$?
	[ "$status" = 12 ] || [ "$status" = 11 ] || fail "full disk: $status"
	grep -q 'No space left' "$tmp/err" || fail 'does not say why'
	ls "$tmp/disk/run/checkpoints" | grep -q '^step-1$' ||
		fail 'the old checkpoint is gone'
	says 0 'p=2' pipefw run "$tmp/tiny.cfg" --dry-run \
		--set run.resume="$tmp/disk/run" --out "$tmp/dry"
	umount "$tmp/disk"
	trap 'rm -rf "$tmp"' EXIT
fi
