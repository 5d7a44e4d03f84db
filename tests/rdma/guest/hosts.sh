# gpt2 on four ranks, two on each host, over one rail, over two, and by IPv6, to the
# bits of four on one. A host with another secret calls first: it is refused, and does
# no harm.
soft_roce
second_rail
two_hosts 1
meeting=10.77.0.1

# together SECRET [OPTION]...
together() {
	key=$1
	shift
	timeout 80 pipefw run tiny.cfg --quiet --overwrite --secret "$key" \
		--boot "tcp://$meeting:4711" --ranks $((host * 2 - 2))-$((host * 2 - 1)) "$@"
}

if [ "$host" = 2 ]; then
	head -c 32 /dev/urandom | base64 >wrong
	together wrong --out /mnt/wrong 2>refused && { echo 'a wrong secret is taken'; exit 1; }
	cat refused
	grep -q 'another secret' refused || exit 1
fi
together secret --out /mnt/run || exit 1
before=$(counter sent_pkts rxe1)
together secret --out /mnt/two --set transport.remote.rails=rxe0,rxe1 || exit 1
sent=$(($(counter sent_pkts rxe1) - before))
echo "packets of the second rail: $sent"
[ $sent -gt 0 ] || exit 1

# The first wire without IPv4: the launchers and the queue pairs meet by IPv6.
ip address add "fd77::$host/64" dev eth0 nodad
ip address del "10.77.0.$host/24" dev eth0
until grep -qi fd77 /sys/class/infiniband/rxe0/ports/1/gids/*; do sleep 0.1; done
grep -qi ffff:0a4d /sys/class/infiniband/rxe0/ports/1/gids/* && exit 1
before=$(counter sent_pkts)
meeting='[fd77::1]'
together secret --out /mnt/six || exit 1
sent=$(($(counter sent_pkts) - before))
echo "packets by IPv6: $sent"
[ $sent -gt 0 ] || exit 1
if [ "$host" = 1 ]; then
	pipefw run tiny.cfg --quiet --out single --set transport=shm || exit 1
	for run in run two six; do
		cmp single/model/model.safetensors /mnt/$run/model/model.safetensors || exit 1
	done
	echo 'the same bits'
fi
