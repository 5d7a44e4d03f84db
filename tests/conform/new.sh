# What `pipefw new` writes builds with one command and holds, with the build as
# it is and as installed; what it refuses leaves nothing behind.
set -eu
command -v pkg-config >/dev/null || { echo 'skipped: no pkg-config'; exit 77; }
. "$srcdir/tests/conform/lib.sh"
build=$PWD
unset PIPEFW_PLUGIN_DIR

# A mistake: that status, these words, and no trace.
refuses() {
	status=0
	want=$1 text=$2
	shift 2
	pipefw new "$@" >"$tmp/said" 2>&1 || status=$?
	[ $status = "$want" ] && grep -q -e "$text" "$tmp/said" && return
	echo "new $*: status $status, not $want, or no \"$text\" in:"
	cat "$tmp/said"
	bad=1
}
mkdir "$tmp/work" "$tmp/work/there"
cd "$tmp/work"
refuses 2 '^usage: pipefw new'
refuses 2 '^usage: pipefw new' schedule mine
refuses 2 'unknown kind "scedule"; did you mean "schedule"' scedule mine a
refuses 2 'is no name of a schedule' schedule Mine a
refuses 2 'is no name of a stage' stage ../mine a
refuses 2 'is no name of a schedule' schedule '' a
refuses 2 'there is there already' schedule mine there/
refuses 2 'cannot be made: No such file' schedule mine none/a
[ "$(ls)" = there ] && [ -z "$(ls there)" ] || { ls -R; bad=1; }

# holds KIND: a project of this kind, made, built and held to its contract.
holds() {
	pipefw new "$1" "my-$1" "$1" >"$tmp/said"
	grep -r example "$1" && { echo "an \"example\" is left in $1"; bad=1; }
	if ! make -s -C "$1" CC="$CC" CFLAGS='-O1 -Wshadow -Wstrict-prototypes -Werror' \
	     >"$tmp/log" 2>&1 || ! make -s -C "$1" check >>"$tmp/log" 2>&1; then
		echo "$1:"
		cat "$tmp/log"
		bad=1
	fi
}
holds schedule
pipefw schedule schedule/pipefw-my-schedule-schedule.so -p 4 -m 8 |
	grep -q 'idle over ideal 37.5 %' || bad=1

holds transport
holds stage

# All three train together.
head -c 20000 /dev/zero | tr '\0' 'abcdefgh' >text
cat >a.cfg <<END
run = { steps = 2; };
model = { stage = "$PWD/stage/pipefw-my-stage-stage.so"; layers = 2; hidden = 16; context = 8; };
pipeline = { ranks = 2; microbatches = 4; microbatch_size = 1;
	schedule = "$PWD/schedule/pipefw-my-schedule-schedule.so"; };
transport = { name = "$PWD/transport/pipefw-my-transport-transport.so"; };
data = { train = "text"; };
END
pipefw run a.cfg --out out >"$tmp/said" 2>&1 || { cat "$tmp/said"; bad=1; }
grep -q 'step.*2/2' "$tmp/said" || { cat "$tmp/said"; bad=1; }

# Installed: nothing of the build tree may be needed.
cd "$build"
make -s install DESTDIR="$tmp/stage" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
pc=$(find "$tmp/stage" -name pipefw.pc)
bin=$(dirname "$(find "$tmp/stage" -type f -name pipefw -path '*/bin/*')")
LD_LIBRARY_PATH=$(dirname "$(find "$tmp/stage" -name libpipefw.so)")
PIPEFW_PLUGIN_DIR=$LD_LIBRARY_PATH/pipefw
PATH=$bin:$PATH
PKG_CONFIG_LIBDIR=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$tmp/stage
export PATH LD_LIBRARY_PATH PIPEFW_PLUGIN_DIR PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
unset PKG_CONFIG_PATH
cd "$tmp/work"
rm -r schedule transport stage
holds schedule
holds stage
! grep -q "$build" schedule/Makefile || { echo 'it names the build tree'; bad=1; }
exit $bad
