#!/bin/sh
# within.sh SECONDS COMMAND...: ends the command, and what it has started, where it
# takes longer; 0 seconds: it may take any time.
seconds=$1
shift
timeout -k 10 "$seconds" "$@" &
pid=$!
trap 'kill $pid 2>/dev/null' INT TERM HUP
wait $pid
status=$?
case $status in
124 | 137)
	echo "check-rdma: stopped after $seconds s, which is what it may take: is the" \
		"machine busy, or has a test become slow? (tests/rdma/*.log;" \
		"PIPEFW_LONG=1 has no such limit)" >&2
	;;
esac
exit $status
