# Messages of all sizes between processes that are stopped and continued; 100,000 of
# them in the long run.
. "$srcdir/tests/rdma/lib.sh"
if [ "${PIPEFW_LONG-}" ]; then
	in_machines -t 3000 -c 2 guest/soak.sh 100000 10000
else
	in_machines -t 120 -c 2 guest/soak.sh 1500 1500
fi
