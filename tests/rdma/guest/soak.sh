# soak MESSAGES MORE: sizes log-uniform, both ends stopped and continued in turn; MORE
# with several queue pairs, and with WRITE and SEND.
soft_roce
traffic=$build/tests/rdma/traffic
before=$(counter duplicate_request)
for options in '' '-o qps=4' '-o notify=send'; do
	messages=$1
	[ -z "$options" ] || messages=$2
	echo "soak $options"
	rm -f address.*
	$traffic $options 0 . soak "$messages" &
	a=$!
	$traffic $options 1 . soak "$messages" &
	b=$!
	(
		while sleep 0.3; do
			kill -STOP $a && sleep 0.2 && kill -CONT $a && sleep 0.1 &&
				kill -STOP $b && sleep 0.2 && kill -CONT $b || break
		done 2>/dev/null
	) &
	stopper=$!
	wait $a || exit 1
	wait $b || exit 1
	kill $stopper
done
echo "duplicate requests: $(($(counter duplicate_request) - before))"
