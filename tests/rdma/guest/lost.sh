# A run on two hosts, shm within each and verbs between them, that loses a rank, then
# the link while it trains, then the fabric alone: it ends on both hosts within 10 s,
# says who was at either end, and goes on from its last checkpoint.
soft_roce
ip link set eth1 up
ip address add "10.77.1.$host/24" dev eth1
# The other host's device has another name, which the header tells.
if [ "$host" = 2 ]; then
	rdma link delete rxe0
	rdma link add rxe7 type rxe netdev eth0
fi
two_hosts 100000 'save_every = 2;'

# Hosts meet over this link. A launcher in place of the shell.
link=0
together() {
	exec pipefw run tiny.cfg --secret secret --boot "tcp://10.77.$link.1:4711" \
		--ranks $((host * 2 - 2))-$((host * 2 - 1)) "$@"
}

# meet NAME: goes on when both hosts have come here; one that failed never will.
meet() {
	: >"/mnt/$1.$host"
	until [ -e "/mnt/$1.1" ] && [ -e "/mnt/$1.2" ]; do
		[ ! -s /mnt/status.1 ] && [ ! -s /mnt/status.2 ] || exit 1
		sleep 0.1
	done
}

# last NAME: the step of its last checkpoint; nothing where there is none.
last() {
	ls "/mnt/$1/checkpoints" 2>/dev/null | sed -n 's/^step-//p' | sort -n | tail -n 1
}

# begin NAME: until it has saved, on both hosts.
begin() {
	together --out "/mnt/$1" >out 2>err &
	launcher=$!
	until [ "$(last "$1")" ]; do
		kill -0 $launcher 2>/dev/null || { cat out err; exit 1; }
		sleep 0.1
	done
	ranks=$(cat /proc/$launcher/task/$launcher/children)
	meet "$1.runs"
}

# ended WHAT STATUSES PATTERN: within 10 s, by itself, so and saying that.
ended() {
	began=$(date +%s)
	while kill -0 $launcher 2>/dev/null; do
		if [ $(($(date +%s) - began)) -gt 10 ]; then
			echo "$1: goes on after 10 s"
			cat err
			kill $launcher
			exit 1
		fi
		sleep 0.1
	done
	status=0
	wait $launcher || status=$?
	echo "$1: status $status after $(($(date +%s) - began)) s:"
	cat err
	for rank in $ranks; do
		! kill -0 $rank 2>/dev/null || { echo "$1: $rank lives"; exit 1; }
	done
	case " $2 " in
	*" $status "*) ;;
	*) echo "$1: not one of: $2" && exit 1 ;;
	esac
	grep -q -e "$3" err || { echo "$1: no \"$3\""; exit 1; }
}

begin killed
if [ "$host" = 1 ]; then
	grep '^  verbs' out err
fi
[ "$host" = 1 ] || kill -KILL ${ranks%% *}
ended 'a rank killed' 7 'killed'
meet killed.over
step=$(last killed)
(together --out /mnt/resumed --set run.resume=/mnt/killed --steps $((step + 1))) \
	>out 2>err || { cat out err; exit 1; }
[ "$host" = 2 ] || tail -n 2 err

begin cut
[ "$host" = 1 ] || ip link set eth0 down
ended 'the link down' 7 'is gone, or its host cannot be reached'
ip link set eth0 up
meet cut.over

link=1
begin fabric
[ "$host" = 1 ] || ip link set eth0 down
ended 'the fabric down' 9 \
	'between rank . on host[12], rxe[07] port 1 .* and rank . on host[12], process'
