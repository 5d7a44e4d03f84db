#!/bin/sh
# A cross-build for aarch64 and its tests under qemu-user, on Debian and its kin.
# The libraries for aarch64 are unpacked beside the build: nothing is installed.
set -eu
tools='aarch64-linux-gnu-gcc qemu-aarch64-static apt-get dpkg-deb'
for tool in $tools; do
	command -v $tool >/dev/null && continue
	echo "check-aarch64 needs $tool: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
	exit 1
done
root=$PWD/_check/aarch64-root
triplet=aarch64-linux-gnu

# An apt of its own, for arm64 and with nothing installed.
fetch() {
	rm -rf "$root"
	mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial"
	cat >"$root/apt/conf" <<-END
		Dir::State "$root/apt";
		Dir::State::lists "$root/apt/lists";
		Dir::State::status "$root/apt/status";
		Dir::Cache "$root/apt/cache";
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; };
		APT::Sandbox::User "";
		Acquire::Languages "none";
	END
	: >"$root/apt/status"
	(
		cd "$root/apt"
		APT_CONFIG=$root/apt/conf
		export APT_CONFIG
		apt-get -qq update
		apt-get -qq download libconfig-dev libconfig9 libcunit1-dev libcunit1
		for deb in *.deb; do dpkg-deb -x "$deb" "$root"; done
	)
	rm -r "$root/apt"
	: >"$root/whole"
}

[ -e "$root/whole" ] || fetch
lib=$root/usr/lib/$triplet
PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_LIBDIR=$lib/pkgconfig
PIPEFW_EMULATOR="qemu-aarch64-static -L /usr/$triplet"
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR PIPEFW_EMULATOR
sh "$srcdir/tests/build/variant.sh" aarch64 --host=$triplet --with-openblas=no --with-hwloc=no \
	CPPFLAGS="-I$root/usr/include" LDFLAGS="-L$lib -Wl,-rpath,$lib"
