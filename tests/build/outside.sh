# The schedule that README.md shows is built outside the tree through pipefw.pc:
# with the build as it is, and with what `make install DESTDIR=...` left, which
# uninstall removes.
set -eu
command -v pkg-config >/dev/null || { echo 'skipped: no pkg-config'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sed -n '/^```c$/,/^```$/p' "$srcdir/README.md" | sed '/^```/d' >"$tmp/mine.c"
top=$PWD

# build_plugin DIR: from pkg-config's words alone.
build_plugin() {
	(cd "$tmp" && $CC -std=c11 -Wall -Wextra -Werror -fPIC -shared \
		$(pkg-config --cflags pipefw) -o "$1/pipefw-mine-schedule.so" \
		mine.c $(pkg-config --libs pipefw))
}

works() {
	"$@" schedule mine -p 4 -m 8 >"$tmp/said" 2>&1 || { cat "$tmp/said"; return 1; }
	grep -q 'idle over ideal 37.5 %' "$tmp/said"
}

mkdir "$tmp/uninstalled"
build_plugin "$tmp/uninstalled"
PIPEFW_PLUGIN_DIR=$tmp/uninstalled works pipefw

# The staged copy: every path of the .pc file is moved under DESTDIR.
make -s install DESTDIR="$tmp/stage" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
pc=$(find "$tmp/stage" -name pipefw.pc)
unset PKG_CONFIG_PATH
PKG_CONFIG_LIBDIR=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$tmp/stage
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
plugins=$tmp/stage$(pkg-config --variable=plugindir pipefw | sed "s|^$tmp/stage||")
build_plugin "$plugins"
bin=$(find "$tmp/stage" -type f -name pipefw -path '*/bin/*')
lib=$(dirname "$(find "$tmp/stage" -name 'libpipefw.so')")
if find "$tmp/stage" -name '*.la' -path "$plugins/*" | grep .; then
	echo 'these .la files of plugins are installed, and serve nobody'
	exit 1
fi
PIPEFW_PLUGIN_DIR=$plugins LD_LIBRARY_PATH=$lib works "$bin"

rm "$plugins/pipefw-mine-schedule.so"
make -s uninstall DESTDIR="$tmp/stage" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
if find "$tmp/stage" ! -type d | grep .; then
	echo "left by make uninstall in $top"
	exit 1
fi
