# gpt2 on four ranks, two on each host, over one rail and over two, to the bits of four
# on one. A host with another secret calls first: it is refused, and does no harm.
soft_roce
second_rail
two_hosts 1

# together SECRET [OPTION]...
together() {
	key=$1
	shift
	timeout 80 pipefw run tiny.cfg --quiet --overwrite --secret "$key" \
		--boot tcp://10.77.0.1:4711 --ranks $((host * 2 - 2))-$((host * 2 - 1)) "$@"
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
if [ "$host" = 1 ]; then
	pipefw run tiny.cfg --quiet --out single --set transport=shm || exit 1
	for run in run two; do
		cmp single/model/model.safetensors /mnt/$run/model/model.safetensors || exit 1
	done
	echo 'the same bits'
fi
