# Bandwidth and latency beside perftest, in one boot. Figures, and no judgement but of
# requests that are sent twice (guest/speed.sh): an emulated machine has nothing but
# ratios, and on a busy host not even these.
. "$srcdir/tests/rdma/lib.sh"
if [ "${PIPEFW_LONG-}" ]; then
	in_machines -t 300 -c 2 guest/speed.sh 7
else
	in_machines -t 150 -c 2 guest/speed.sh 3
fi
