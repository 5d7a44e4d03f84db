# soak MESSAGES: sizes log-uniform, both ends stopped and continued at random.
soft_roce
traffic=$build/tests/rdma/traffic
before=$(counter duplicate_request)
for options in '' '-o qps=4' '-o notify=send'; do
	rm -f address.*
	$traffic $options 0 . soak "$1" &
	a=$!
	$traffic $options 1 . soak "$1" &
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
