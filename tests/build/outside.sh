# The schedule that README.md shows is built outside the tree through pipefw.pc:
# with the build as it is, and with what `make install DESTDIR=...` left, which
# uninstall removes. The installed examples run, in their folder and as a copy, and
# write nowhere but where they are told to.
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

installed() {
	(cd "$tmp" && PIPEFW_PLUGIN_DIR=$plugins LD_LIBRARY_PATH=$lib "$bin" run "$@") \
		>"$tmp/said" 2>&1
}
examples=$(dirname "$(find "$tmp/stage" -name quickstart.cfg)")
cp -r "$examples" "$tmp/mine"
find "$tmp/stage" | sort >"$tmp/before"
for file in "$srcdir"/etc/quickstart.cfg "$srcdir"/etc/examples/*.cfg; do
	name=${file##*/}
	if installed "$examples/$name" ||
	   ! grep -q "$name:[0-9]*: run.\(out\|init\) must be" "$tmp/said"; then
		echo "$name: without --out, not:"
		cat "$tmp/said"
		exit 1
	fi
	grep -n 'runs/\|build/' "$examples/$name" && exit 1
	[ "$name" != gpt2-finetune.cfg ] || continue
	installed "$examples/$name" --dry-run --out x || { cat "$tmp/said"; exit 1; }
done
for at in "$examples" mine; do
	installed "$at/quickstart.cfg" --steps 1 --set data.eval_batches=1 \
		--out "a-${at##*/}" || { cat "$tmp/said"; exit 1; }
	[ -s "$tmp/a-${at##*/}/model/model.safetensors" ] || exit 1
done
find "$tmp/stage" | sort | diff "$tmp/before" - ||
	{ echo 'an installed example writes into the prefix'; exit 1; }

make -s uninstall DESTDIR="$tmp/stage" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
if find "$tmp/stage" ! -type d | grep .; then
	echo "left by make uninstall in $top"
	exit 1
fi
