# Two hosts on a wire that loses and reorders packets, then loses all of RoCE's: all
# messages arrive in order, then both ends end in time, with the options as they are.
soft_roce
traffic=$build/tests/rdma/traffic
rank=$((host - 1))

# together NAME: goes on when both hosts have come here.
together() {
	: >"/mnt/$1.$host"
	until [ -e "/mnt/$1.1" ] && [ -e "/mnt/$1.2" ]; do sleep 0.05; done
}

mkdir -p /mnt/clean /mnt/lossy /mnt/cut
together begin
timeout 100 $traffic -o traffic_class=106 $rank /mnt/clean soak 100 || exit 1
tc qdisc add dev eth0 root netem delay 1ms reorder 25% 50% loss 1% || exit 1
together lossy
# Whatever comes out of order is asked for again, which Soft-RoCE counts as a retry until
# a packet is answered that wants it, the last one of a message: seven are soon over. 7
# is for ever.
timeout 100 $traffic -o timeout=15 -o retry_cnt=7 $rank /mnt/lossy soak 150 || exit 1
for name in duplicate_request out_of_seq_request completer_retry_err; do
	echo "$name: $(counter $name)"
done
tc qdisc del dev eth0 root
together cut
timeout 100 $traffic $rank /mnt/cut soak 1000000 2>errors &
pid=$!
sleep 3
# All of RoCE is lost, and nothing else: nobody is told by the TCP connection.
tc qdisc add dev eth0 root handle 1: prio &&
	tc qdisc add dev eth0 parent 1:3 netem loss 100% &&
	tc filter add dev eth0 parent 1: protocol ip u32 \
		match ip dport 4791 0xffff flowid 1:3 || exit 1
began=$(date +%s)
while kill -0 $pid 2>/dev/null; do
	[ $(($(date +%s) - began)) -le 12 ] || { echo 'goes on after 12 s'; exit 1; }
	sleep 0.1
done
cat errors
grep -q 'no answer for 7.5 s\|is gone' errors
