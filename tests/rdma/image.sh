#!/bin/sh
# image.sh FOLDER: makes FOLDER/vmlinuz and FOLDER/initrd.gz, what vm.sh boots: a
# kernel of the distribution (its package is unpacked, not installed), busybox
# and the modules of Soft-RoCE. Exit 77 with the reason where it cannot be had.
set -u
out=$1
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
modules='crc32_generic crc32_pclmul crc32c_generic crct10dif_generic virtio_pci
9pnet_virtio 9p virtio_net veth sch_netem sch_prio cls_u32 ib_uverbs rdma_rxe'
# Where those and what they need may lie.
folders='arch crypto lib fs/9p fs/netfs fs/fscache net drivers/infiniband
drivers/net drivers/virtio drivers/char/hw_random'

skip() {
	echo "skipped: $*"
	exit 77
}

needs() {
	[ "$(uname -m)" = x86_64 ] || skip "the virtual machines are x86-64, this is $(uname -m)"
	for tool in qemu-system-x86_64 busybox apt-get apt-cache dpkg-deb rdma ip; do
		command -v $tool >/dev/null || skip "no $tool (Debian:" \
			"apt-get install qemu-system-x86 busybox iproute2 perftest libibverbs-dev ibverbs-providers)"
	done
}

# The package that the distribution's newest kernel is in.
newest() {
	apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: *\(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

fetch() {
	package=$(newest)
	[ "$package" ] || skip 'apt-cache knows no linux-image-amd64: apt-get update?'
	(cd "$tmp" && apt-get download "$package" >"$tmp/log" 2>&1) ||
		skip "apt-get cannot download $package: $(tail -n 1 "$tmp/log")"
	version=${package#linux-image-}
}

unpack() {
	set -- "./boot/vmlinuz-$version"
	for f in $folders; do set -- "$@" "./lib/modules/$version/kernel/$f"; done
	for f in order builtin builtin.modinfo; do
		set -- "$@" "./lib/modules/$version/modules.$f"
	done
	dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb | tar -C "$tmp" -xf - "$@" \
		2>"$tmp/log"
	[ -f "$tmp/boot/vmlinuz-$version" ] ||
		skip "the package of $version is not laid out as expected: $(head -n 1 "$tmp/log")"
	busybox depmod -b "$tmp" "$version" 2>"$tmp/log"
}

# NAME: that module's files, what it needs first.
files_of() {
	sed -n "s,^\(kernel/[^:]*/$1\.ko\): *\(.*\),\1 \2,p" \
		"$tmp/lib/modules/$version/modules.dep" |
		awk '{ for (i = NF; i > 0; i--) print $i }'
}

fill() {
	root=$tmp/root
	mkdir -p "$root/bin" "$root/lib" "$root/host"
	cp "$(command -v busybox)" "$root/bin/busybox"
	ldd "$root/bin/busybox" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$root${lib%/*}" && cp -L "$lib" "$root$lib"
	done
	cp "$here/init" "$root/init"
	chmod +x "$root/init"
	for m in $modules; do files_of $m; done | awk '!seen[$0]++' |
		while read -r file; do
			cp "$tmp/lib/modules/$version/$file" "$root/lib/" &&
				echo "${file##*/}" >>"$root/lib/order"
		done
	grep -q rdma_rxe "$root/lib/order" ||
		skip "the kernel $version has no Soft-RoCE (rdma_rxe)"
}

[ -f "$out/initrd.gz" ] && [ "$out/initrd.gz" -nt "$here/init" ] &&
	[ "$out/initrd.gz" -nt "$0" ] && exit 0
needs
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fetch
unpack
fill
mkdir -p "$out" && cp "$tmp/boot/vmlinuz-$version" "$out/vmlinuz" &&
	(cd "$tmp/root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) \
		>"$out/initrd.new" && mv "$out/initrd.new" "$out/initrd.gz"
