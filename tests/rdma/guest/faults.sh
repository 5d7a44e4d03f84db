# What ends a run, and what it says then: a rank killed, the link taken down, queue
# pairs forced to fail; and what is said where it cannot begin.
list=$(pipefw list transports)
echo "$list" | grep -q 'rdma link add rxe0' || { echo "$list"; exit 1; }
soft_roce
pipefw list transports >list
grep -q 'found: rxe0 port 1, RoCE, MTU 4096, gid 1 (10.77.0.1)' list ||
	{ cat list; exit 1; }
cat >sleep.cfg <<'CFG'
run = { steps = 100000; timeout = 60.0; };
model = { stage = "synthetic"; layers = 2; };
pipeline = { ranks = 2; microbatches = 4; microbatch_size = 1; };
transport = "verbs";
CFG

# children PID: of that process.
children() {
	cat /proc/$1/task/$1/children
}

start() {
	rm -rf run
	pipefw run sleep.cfg --json --quiet --out run "$@" >out 2>err &
	launcher=$!
	until grep -q '"event":"step"' out; do
		kill -0 $launcher 2>/dev/null || { cat out err; exit 1; }
		sleep 0.1
	done
}

# ended WHAT PATTERN: within 10 s, by itself, with those words and no rank left.
ended() {
	began=$(date +%s)
	while kill -0 $launcher 2>/dev/null; do
		if [ $(($(date +%s) - began)) -gt 11 ]; then
			echo "$1: goes on after 10 s"
			cat err
			exit 1
		fi
		sleep 0.1
	done
	wait $launcher && { echo "$1: status 0"; exit 1; }
	echo "$1: ended after $(($(date +%s) - began)) s:"
	cat err
	grep -q -e "$2" err || exit 1
	for rank in $ranks; do
		! kill -0 $rank 2>/dev/null || { echo "$1: $rank lives"; exit 1; }
	done
}

start
ranks=$(children $launcher)
kill -KILL ${ranks%% *}
ended 'a rank killed' 'killed'

start
ranks=$(children $launcher)
ip link set veth0 down
ended 'the link down' 'down\|is the link up\|answer'
ip link set veth0 up

LD_PRELOAD=$build/tests/rdma/.libs/ruin.so
export LD_PRELOAD
start
unset LD_PRELOAD
ranks=$(children $launcher)
kill -36 ${ranks%% *} # SIGRTMIN + 2
ended 'queue pairs that fail' 'stopped from outside.*\|answer'

# Without the right to lock memory, and with little of it.
if command -v setpriv >/dev/null; then
	for how in '--quiet --out locked' --dry-run; do
		status=0
		(ulimit -l 64 && setpriv --bounding-set -ipc_lock pipefw run sleep.cfg \
			--steps 1 $how) >out 2>err || status=$?
		cat err
		grep -q 'verbs locks .*, and ulimit -l is 64 KiB: raise it' err || exit 1
		[ $status = 0 ] || [ "$status $how" = '11 --quiet --out locked' ] || exit 1
		[ ! -e locked ] || { echo 'ranks were started'; exit 1; }
	done
fi

# refused TEXT OPTION: before ranks are started, and by --dry-run.
refused() {
	for how in '--out bad' --dry-run; do
		status=0
		pipefw run sleep.cfg --quiet --steps 1 $how --set "$2" >out 2>err ||
			status=$?
		cat err
		[ $status = 2 ] && [ ! -e bad ] && grep -q -e "--set $2: $1" err ||
			{ echo "$2, $how: status $status"; exit 1; }
	done
}

refused 'rails = "nowhere": there is no .* those that there are .*: rxe0$' \
	transport.rails=nowhere
refused 'rails = "rxe0:7": rxe0 has no port 7' transport.rails=rxe0:7
refused 'gid_index = 99: that row of rxe0 port 1 is empty' transport.gid_index=99
