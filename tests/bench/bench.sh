# pipefw bench: its rows, what it says where a peer is missing, and that it leaves
# nothing behind when it is stopped. No figure is judged here.
. "$srcdir/tests/e2e/lib.sh"
[ ! "${PIPEFW_TSAN-}" ] || {
	echo 'skipped: TSan follows no threads in forked processes'
	exit 77
}
TMPDIR=$tmp
export TMPDIR

says 0 '' pipefw bench compute --quick --rounds 1 --json
cp "$tmp/out" "$tmp/rows"
for work in peak 'NT together' 'NN 1024 x 256 x 768' 'TN 256 x 1024 x 1024' \
	'attention'; do
	grep -q "^{\"event\":\"bench\",\"part\":\"compute\",\"work\":\"$work" \
		"$tmp/rows" || fail "no row of $work"
done
if pipefw list devices | grep -q cpu && PIPEFW_BLAS=openblas pipefw run \
	"$tmp/tiny.cfg" --quiet --out "$tmp/blas" >/dev/null 2>&1; then
	grep -q '"peer":"OpenBLAS fp32".*"ratio":[0-9]' "$tmp/rows" ||
		fail 'no ratio to OpenBLAS'
else
	grep -q '"event":"skip".*"peer":"OpenBLAS"' "$tmp/rows" ||
		fail 'OpenBLAS is missing, and nobody says so'
fi
# On a card, by its clock; all parts in one call, of which some fork, and a process
# that was forked from one with a card has none.
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
if [ -e "$fake" ]; then
	mkdir "$tmp/plugins"
	ln -s "$fake" "$tmp/plugins"
	says 0 '' env FAKE_CUDA_IDLE=1 PIPEFW_PYTHON="$(command -v false)" \
		PIPEFW_PLUGIN_DIR="$tmp/plugins:${PIPEFW_PLUGIN_DIR-}" \
		pipefw bench --quick --rounds 1 --json --device cuda
	for row in 'compute","work":"NN together","unit":"GFLOP/s"' \
		'transport","work":"half round trip 8 B","unit":"us"' \
		'train","work":"d256 L4, bf16","unit":"ms"'; do
		grep -q "\"part\":\"$row.*\"ours\":[0-9]" "$tmp/out" ||
			fail "bench on a card: no row of $row"
	done
	grep -q '"skip","part":"memory".*not this host' "$tmp/out" ||
		fail "a card's memory is weighed on the host"
fi
says 2 'from 1 to 99' pipefw bench --rounds 0
says 2 'did you mean "compute"' pipefw bench comptue

says 0 '' pipefw bench transport --quick --rounds 1 --json
cp "$tmp/out" "$tmp/rows"
for work in 'half round trip 8 B' 'in place 1 MiB' 'copied out 64 KiB'; do
	grep -q "\"part\":\"transport\",\"work\":\"$work\".*\"ours\":[0-9]" \
		"$tmp/rows" || fail "no row of $work"
done
for peer in 'mpicc:Open MPI vader' 'ucx_perftest:ucx posix,cma'; do
	if command -v "${peer%%:*}" >/dev/null; then
		grep -q "\"peer\":\"${peer#*:}\"" "$tmp/rows"
	else
		grep -q "\"event\":\"skip\".*\"peer\":\"${peer#*:}\",\"why\":\"no ${peer%%:*}" \
			"$tmp/rows"
	fi || fail "nothing of ${peer#*:}"
done
# Between devices, over the stand-ins; and without a GPU why not.
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
if [ -e "$gpu" ]; then
	says 0 '' pipefw bench transport --device "$gpu" --quick --rounds 2 --json
	for work in 'half round trip 8 B' 'half round trip 64 KiB'; do
		grep -q "\"work\":\"$work\",\"unit\":\"us\".*\"ours\":[0-9]" \
			"$tmp/out" || fail "no row of $work between devices"
	done
	grep -q '"work":"products beside .*"peer":"alone","theirs":[0-9]' \
		"$tmp/out" || fail 'no row of products'
	! grep -q 'GB/s' "$tmp/out" || fail 'what lies where it is has no speed'
	says 0 'messages read in place; medians of 1 round' \
		pipefw bench transport --device "$gpu" --quick --rounds 1
	FAKE_CUDA_DEVICES=2 says 0 '"unit":"GB/s"' pipefw bench transport \
		--device "$gpu" --quick --rounds 1 --json
	FAKE_CUDA_FAIL=cudaIpcOpenMemHandle:1:801 says 0 \
		'"event":"skip".*CUDA IPC: cudaIpcOpenMemHandle' \
		pipefw bench transport --device "$gpu" --quick --rounds 1 --json
	says 0 '"event":"skip".*does not move this' pipefw bench transport tcp \
		--device "$gpu" --quick --json
	nvidia-smi >/dev/null 2>&1 || says 0 'skipped.*no driver\|skipped.*no card' \
		pipefw bench transport --device cuda --quick
fi
mkdir "$tmp/bin"
printf "#!/bin/sh\nexit 1\n" >"$tmp/bin/mpicc"
chmod +x "$tmp/bin/mpicc"
says 0 'no mpicc' env PATH="$tmp/bin:$PATH" pipefw bench transport tcp --quick \
	--rounds 1
says 3 'did you mean "tcp"' pipefw bench transport tpc
says 3 'did you mean "cpu"' pipefw bench train --device cpux

# A Python without torch: ours alone, and why.
PIPEFW_PYTHON=$(command -v false) says 0 'has no torch' pipefw bench train \
	--quick --rounds 1 --json
grep -q '"part":"train","work":"d256 L4, bf16","unit":"ms".*"ours":[0-9]' \
	"$tmp/out" || fail 'no step of ours'
grep -q '"part":"train","work":"d256 L4, bf16 without AMX"' "$tmp/out" ||
	fail 'nothing of a machine without AMX'
if grep -q '"work":"two ranks"' "$tmp/out"; then
	cores=1
else
	cores=2
	for dtype in fp32 bf16; do
		work="\"part\":\"train\",\"work\":\"d256 L4, $dtype, p=2 1f1b m=8\""
		grep -q "$work.*\"ours\":[0-9].*\"peer\":\"ideal\",.*\"aim\":0.97" \
			"$tmp/out" || fail "two ranks, $dtype, beside nobody"
		grep -q "\"skip\",$work,\"peer\":\"torch gloo $dtype\".*has no torch" \
			"$tmp/out" || fail "no word of gloo in $dtype"
	done
fi

# A peer that answers, and one that breaks off: a row, and a reason.
cat >"$tmp/peer" <<'SH'
#!/bin/sh
echo torch 0
while read -r line; do
	case $line in
	*"fp32 3 8 2") echo 1000 ;;
	*"bf16 3 8 2") exit 1 ;;
	*compiled*) echo "cannot compile" ;;
	*) echo 10 ;;
	esac
done
SH
chmod +x "$tmp/peer"
PIPEFW_PYTHON=$tmp/peer says 0 '' pipefw bench train --quick --rounds 1 --json
grep -q '"peer":"torch bf16 compiled","why":"cannot compile"' "$tmp/out" ||
	fail 'what the peer cannot do is not said'
grep -q '"work":"d256 L4, bf16".*"peer":"torch fp32 eager","theirs":10,' \
	"$tmp/out" || fail 'no row beside the peer'
if [ $cores = 2 ]; then
	grep -q '"peer":"torch gloo fp32","theirs":8192,.*"aim":1.5' \
		"$tmp/out" || fail 'no row beside gloo'
	grep -q '"peer":"torch gloo bf16","why":"it ended"' "$tmp/out" ||
		fail 'nobody says that gloo ended'
fi

# What nohup has said shall not end it does not: the row comes all the same.
(
	trap '' HUP
	pipefw bench memory --quick --json >"$tmp/out" 2>"$tmp/err" &
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -HUP $! 2>/dev/null || break
		sleep 0.1
	done
	wait $!
) || fail "SIGHUP ends it under nohup: $(cat "$tmp/err")"

# Stopped in the middle: it dies of that, but no process and no folder stays.
cat >"$tmp/asleep" <<'SH'
#!/bin/sh
sleep 1001 &
echo "$$" >"$TMPDIR/asleep.pid"
echo $! >"$TMPDIR/worker.pid"
echo torch 0
exec sleep 1000
SH
chmod +x "$tmp/asleep"
(
	trap - INT
	PIPEFW_PYTHON=$tmp/asleep exec pipefw bench train --quick --rounds 1
) >"$tmp/out" 2>"$tmp/err" &
bench=$!
n=0
until grep -q 'one rank on one core' "$tmp/out"; do
	n=$((n + 1))
	[ $n -lt 600 ] || fail 'it never began'
	sleep 0.1
done
kill -TERM $bench
status=0
wait $bench || status=$?
[ "$status" = 143 ] || fail "status $status, not of SIGTERM"
! kill -0 "$(cat "$tmp/asleep.pid")" 2>/dev/null || fail 'a peer lives on'
# Nobody may be there to reap it.
worker=$(cat "$tmp/worker.pid")
n=0
while grep -q '^State:[[:space:]]*[^ZX]' "/proc/$worker/status" 2>/dev/null; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "a peer's child lives on"
	sleep 0.1
done
left=$(find "$tmp" -maxdepth 1 -name 'pipefw-bench*')
[ -z "$left" ] || fail "it leaves $left"
