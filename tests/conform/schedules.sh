# Every schedule built here holds; each way to be wrong is refused by its check.
set -eu
. "$srcdir/tests/conform/lib.sh"
every schedule

complete='complete and live' fix='refusals name the fix' pure='a pure function'
refused schedule missing "$complete" 'p=1 v=1 m=1: .*B0'
refused schedule twice "$complete" 'lists 0B0 twice'
refused schedule circle "$complete" 'p=2 v=1 m=2: deadlock'
refused schedule elsewhere "$complete" 'stage 1 is on rank 1'
refused schedule crowded "$complete" 'stage 1 is placed on rank 0'
refused schedule late "$complete" 'm=7 is taken by check(), and then: .*too many'
refused schedule descending 'gradients ascend' 'p=1 v=1 m=2: .*0B0 comes after'
refused schedule state "$pure" 'second time\|last to the first'
refused schedule process "$pure" 'in another process'
refused schedule clock "$pure" 'other ones\|another one'
refused schedule silent "$fix" 'gives -EINVAL without a sentence'
refused schedule unhelpful "$fix" 'not said what would do: \\"m is too odd'
refused schedule misleading "$fix" 'none is taken either: \\"m=1: use m=3'
# The C libraries have words of their own for ERANGE.
refused schedule code "$fix" 'check() gives .*\(range\|representable\)'
refused schedule nothing 'takes some shape' 'no shape at all.*not today'
refused schedule null 'any costs, any cap' 'died of signal 11.*costs all NULL'
refused schedule crash "$complete" 'died of signal 11 .*planning p=1 v=1 m=12'
refused schedule exit "$complete" 'ended the process, exit status 0, planning p=1'
refused schedule group 'options at their bounds' 'died of signal 11.*group=0'
refused schedule describe 'describe() keeps its room' 'given 1 bytes it writes'

# Words of the command.
says() {
	status=0
	want=$1 text=$2
	shift 2
	"$@" >"$tmp/said" 2>&1 || status=$?
	[ $status = "$want" ] && grep -q -e "$text" "$tmp/said" && return
	echo "$*: status $status, not $want, or no \"$text\" in:"
	cat "$tmp/said"
	bad=1
}
says 0 'hold, 0 refused' pipefw conform gpipe
says 2 '^usage: pipefw conform' pipefw conform
says 2 'did you mean "--json"' pipefw conform --jsn gpipe
says 2 'unknown kind "shedule"; did you mean "schedule"' pipefw conform shedule:x
says 2 'no suite for a device' pipefw conform cpu
says 2 'unknown check "takes no' pipefw conform --check 'takes no' gpipe
says 0 '^2 hold, 0 refused' pipefw conform --check 'gradients ascend' gpipe
says 2 'group' pipefw conform --set group=none interleaved
says 3 'no plugin is called "gpip"' pipefw conform gpip
says 2 'must be called pipefw-NAME-KIND.so' pipefw conform ./gpipe.so
says 3 'no such file\|No such file' pipefw conform ./pipefw-no-schedule.so
says 3 'REFUSED *loads' pipefw conform \
	"$PWD/tests/plugins/.libs/pipefw-abi-schedule.so"

# Outside of this command a plugin that crashes is named as well.
ulimit -c 0
wrong=$PWD/tests/conform/.libs/pipefw-wrong-schedule.so
says 3 '/pipefw-wrong-schedule.so: it crashed (signal 11,.* p=2 v=1 m=12' \
	pipefw schedule "$wrong" -p 2 -m 12 --set how=crash
says 3 'it ended the process (exit status 0)' \
	pipefw schedule "$wrong" -p 2 -m 12 --set how=exit
says 0 '^gpipe' pipefw schedule compare "$wrong" gpipe -p 2 -m 12
printf 'model = { stage = "synthetic"; };\n' >"$tmp/a.cfg"
says 3 'wrong-schedule.so: it crashed' pipefw run "$tmp/a.cfg" --dry-run \
	--set pipeline.schedule="$wrong" --set pipeline.schedule.how=crash \
	--set pipeline.microbatches=12
exit $bad
