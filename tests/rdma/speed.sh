# Bandwidth and latency beside perftest, in one boot. Figures, and no judgement: an
# emulated machine has nothing but ratios, and on a busy host not even these.
. "$srcdir/tests/rdma/lib.sh"
if [ "${PIPEFW_LONG-}" ]; then
	in_machines -t 580 -c 2 guest/speed.sh 13
else
	in_machines -t 150 -c 2 guest/speed.sh 3
fi
