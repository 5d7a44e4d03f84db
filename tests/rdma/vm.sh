#!/bin/sh
# vm.sh [-t SECONDS] [-n HOSTS] [-m MIB] [-c CORES] FOLDER SCRIPT [ARG...]: runs
# SCRIPT in virtual machines with Soft-RoCE: in one, or in each of two that two links
# join (addresses 10.77.0.1 and .2, 10.77.1.1 and .2). The host's files are there, read-only, at their
# own paths; FOLDER is at /mnt and may be written, as may $TMPDIR. SCRIPT finds the tree in
# $srcdir, the build in $build, and the number of its host, from 1 on, in $host.
# What it prints is in FOLDER/output.N; the last status that is not 0 is vm.sh's.
# 77 with the reason where there can be no such machine; no machine lives longer
# than SECONDS.
set -u
seconds=120 hosts=1 mib=1024 cores=1
while getopts t:n:m:c: o; do
	case $o in
	t) seconds=$OPTARG ;;
	n) hosts=$OPTARG ;;
	m) mib=$OPTARG ;;
	c) cores=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
folder=$(CDPATH= cd -- "$1" && pwd) || exit 2
script=$2
shift 2
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
build=$(CDPATH= cd -- "${top_builddir:-.}" && pwd)
image=$build/tests/rdma/image
sh "$here/image.sh" "$image" || exit

quoted() {
	for word; do
		printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
	done
}

write_guest() {
	cat >"$folder/guest" <<-END
		host=\$1 hosts=$hosts
		srcdir='${here%/tests/rdma}' build='$build'
		PATH=\$build/.libs:/usr/sbin:/usr/bin:/sbin:/bin
		LD_LIBRARY_PATH=\$build/.libs
		PIPEFW_PLUGIN_DIR=\$build/.libs
		PIPEFW_LONG='${PIPEFW_LONG-}' PIPEFW_BLAS=none HOME=/run TMPDIR=/run
		export host hosts srcdir build PATH LD_LIBRARY_PATH PIPEFW_PLUGIN_DIR
		export PIPEFW_LONG PIPEFW_BLAS HOME TMPDIR
		ulimit -l unlimited
		cd /run || exit 99
		. "\$srcdir/tests/rdma/guest.sh"
		set --$(quoted "$@")
		. '$script'
	END
}

# N NETDEV: boots host N; its console is in the folder.
boot() {
	n=$1
	rm -f "$folder/status.$n"
	set -- -nic none
	if [ "$hosts" = 2 ]; then
		side=listen
		[ "$n" = 1 ] || side=connect
		set --
		for wire in 0 1; do
			set -- "$@" -netdev "socket,id=n$wire,$side=127.0.0.1:$((port + wire))" \
				-device "virtio-net-pci,netdev=n$wire,mac=52:54:00:77:0$wire:0$n,host_mtu=4300,romfile="
		done
	fi
	exec timeout -k 5 "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max \
		-smp "$cores" -m "$mib" -nographic -no-reboot -monitor none "$@" \
		-kernel "$image/vmlinuz" -initrd "$image/initrd.gz" \
		-append "console=ttyS0 quiet panic=-1 random.trust_cpu=on tsc=reliable pipefw.host=$n" \
		-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
		-virtfs "local,path=$folder,mount_tag=results,security_model=none" \
		>"$folder/console.$n" 2>&1 </dev/null
}

# The status of host N; why, if it did not end by itself.
verdict() {
	if [ -s "$folder/status.$1" ]; then
		return "$(cat "$folder/status.$1")"
	fi
	echo "host $1: no result after at most $seconds s; its console ends with:"
	tail -n 15 "$folder/console.$1"
	return 124
}

write_guest "$@"
port=$((20000 + $$ % 6000 * 2))
pids=
n=0
while [ $((n += 1)) -le "$hosts" ]; do
	boot $n &
	pids="$pids $!"
	trap 'kill $pids 2>/dev/null' EXIT INT TERM HUP
	[ "$n" = "$hosts" ] || sleep 1
done
wait $pids
status=0 n=0
while [ $((n += 1)) -le "$hosts" ]; do
	verdict $n || status=$?
done
exit $status
