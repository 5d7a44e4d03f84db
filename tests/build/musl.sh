#!/bin/sh
# A build with musl instead of glibc, and its tests, on Debian and its kin.
# libconfig and CUnit are compiled beside the build from Debian's sources, as no
# packages for musl exist there: nothing is installed.
set -eu
for tool in musl-gcc apt-get dpkg-source autoreconf; do
	command -v $tool >/dev/null && continue
	echo "check-musl needs $tool: apt-get install musl-tools dpkg-dev"
	exit 1
done
root=$PWD/_check/musl-root
cpu=$(gcc -print-multiarch)

# An apt of its own that reads the sources of what the system's apt reads.
fetch() {
	rm -rf "$root"
	mkdir -p "$root/apt/lists/partial" "$root/apt/sources"
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -e "$list" ] || continue
		sed -n 's/^deb /deb-src /p' "$list" >"$root/apt/sources/$(basename "$list")"
	done
	for list in /etc/apt/sources.list.d/*.sources; do
		[ -e "$list" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$list" >"$root/apt/sources/$(basename "$list")"
	done
	cat >"$root/apt/conf" <<-END
		Dir::State::lists "$root/apt/lists";
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$root/apt/sources";
		APT::Sandbox::User "";
		Acquire::Languages "none";
	END
	(
		cd "$root/apt"
		APT_CONFIG=$root/apt/conf
		export APT_CONFIG
		apt-get -qq update
		apt-get -qq source libconfig cunit
	)
}

# musl-gcc looks nowhere else, so the kernel's headers are lent to it.
compile() {
	mkdir -p "$root/include" "$root/lib"
	ln -sfn /usr/include/linux "$root/include/linux"
	ln -sfn /usr/include/asm-generic "$root/include/asm-generic"
	ln -sfn "/usr/include/$cpu/asm" "$root/include/asm"
	(
		cd "$root"/apt/libconfig-*/
		autoreconf -fi
		./configure CC=musl-gcc --prefix="$root" --disable-cxx
		${MAKE:-make} -C lib install
		${MAKE:-make} install-pkgconfigDATA
	) >"$root/log" 2>&1
	(
		cd "$root"/apt/cunit-*/CUnit
		mkdir -p "$root/include/CUnit"
		cp Headers/*.h "$root/include/CUnit"
		cd Sources
		musl-gcc -O1 -c -I../Headers Framework/*.c Basic/*.c
		ar rcs "$root/lib/libcunit.a" ./*.o
	) >>"$root/log" 2>&1
}

if [ ! -e "$root/whole" ]; then
	fetch
	compile || { tail -n 20 "$root/log"; exit 1; }
	: >"$root/whole"
fi
PKG_CONFIG_LIBDIR=$root/lib/pkgconfig
export PKG_CONFIG_LIBDIR
# What is C++ or CUDA's here is glibc's.
sh "$srcdir/tests/build/variant.sh" musl --with-openblas=no --with-hwloc=no \
	--with-cuda=no CC="musl-gcc -isystem $root/include" CXX=false \
	LDFLAGS="-L$root/lib -Wl,-rpath,$root/lib"
