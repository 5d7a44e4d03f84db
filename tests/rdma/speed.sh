# Bandwidth and latency beside perftest, in one boot. Figures, and no judgement but of
# requests that are sent twice: an emulated machine has nothing but ratios, and on a
# busy host not even these.
. "$srcdir/tests/rdma/lib.sh"
rounds=3
[ -z "${PIPEFW_LONG-}" ] || rounds=7
in_machines -t 580 -c 2 guest/speed.sh $rounds
status=$?
# A machine that gets no CPU answers late, and ours first: both our ends spin.
if [ $status = 3 ] && awk -v cores="$(nproc)" '{ exit $1 <= cores + 1 }' /proc/loadavg; then
	echo "the host is busy (load $(cut -d ' ' -f 1 /proc/loadavg)): no judgement"
	exit 0
fi
exit $status
