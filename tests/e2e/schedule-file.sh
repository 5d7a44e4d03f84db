# A schedule in a file runs as the plugin that wrote it, to the bit; a file that
# cannot run is refused, by file, row and cell where it is one cell's fault.
. "$srcdir/tests/e2e/lib.sh"

# export_csv NAME V [OPTION]...: into $tmp/NAME.csv
export_csv() {
	name=$1 v=$2
	shift 2
	pipefw schedule "$name" -p 2 -v "$v" -m 4 --format csv "$@" \
		>"$tmp/$name.csv" || fail "$name: no file"
}

for each in zb-h1:1 zb-auto:1 interleaved:2 zbv:2; do
	schedule=${each%:*} v=${each#*:}
	export_csv "$schedule" "$v" --header
	train plugin --set pipeline.schedule="$schedule" \
		--set pipeline.chunks="$v" || fail "$schedule: failed"
	train file --set pipeline.schedule.file="$tmp/$schedule.csv" ||
		fail "$schedule.csv: failed"
	same plugin file || fail "$schedule.csv: other weights than $schedule"
	grep -q "\"schedule\":\"$tmp/$schedule.csv\".*\"chunks\":$v," "$tmp/out" ||
		fail "$schedule.csv: not what the start event has"
done

# Its folder does the same again without the file, and can be reported.
train file --trace "$tmp/trace.json" \
	--set pipeline.schedule.file="$tmp/zbv.csv" || fail 'failed'
cmp "$tmp/zbv.csv" "$tmp/file/schedule.csv" || fail 'another schedule.csv'
mv "$tmp/zbv.csv" "$tmp/away.csv"
says 0 '"event":"end"' pipefw run "$tmp/file/config.cfg" --json --quiet \
	--out "$tmp/rerun"
same file rerun || fail 'config.cfg gives other weights'
says 0 "schedule.csv, p=2 v=2 m=4" pipefw report "$tmp/file" --format text
says 0 '"event":"end"' pipefw run "$tmp/rerun/config.cfg" --json --quiet \
	--overwrite --out "$tmp/rerun"
same file rerun || fail 'in its own folder it gives other weights'
mv "$tmp/away.csv" "$tmp/zbv.csv"

# A path is relative to the config, in a --set to the working directory.
sed 's/pipeline = {/& schedule = { file = "zb-h1.csv"; };/' "$tmp/tiny.cfg" \
	>"$tmp/with.cfg"
says 0 "pipeline *$tmp/zb-h1.csv, p=2 v=1 m=4" pipefw run "$tmp/with.cfg" \
	--dry-run
here=$PWD
(cd "$tmp" && PATH=$here:$PATH says 0 "zbv.csv, p=2 v=2 m=4" pipefw run \
	with.cfg --dry-run --set pipeline.schedule.file=zbv.csv)
says 0 'pipeline *gpipe, p=2' pipefw run "$tmp/with.cfg" --dry-run \
	--set pipeline.schedule.name=gpipe
says 2 'a file has no group: leave one of them out' pipefw run \
	"$tmp/with.cfg" --dry-run --set pipeline.schedule.file=x.csv \
	--set pipeline.schedule.group=2

# What cannot run.
bad() {
	refuses 2 "$1" --set pipeline.schedule.file="$tmp/bad.csv"
}
printf '0F0,0F1,0B0,0B1\n1F0,1X1,1B0,1B1\n' >"$tmp/bad.csv"
bad 'bad.csv:2:2: '
pipefw schedule gpipe -p 2 -m 3 --format csv >"$tmp/bad.csv"
bad 'the file has 3 microbatches, and pipeline.microbatches is 4'
pipefw schedule gpipe -p 3 -m 4 --format csv >"$tmp/bad.csv"
bad 'the file has 3 ranks, and pipeline.ranks is 2'
refuses 2 'none.csv' --set pipeline.schedule.file=none.csv
refuses 2 'pipeline.schedule.file must be the path' \
	--set pipeline.schedule.file=

# PyTorch's own GPipe goes back in another order.
cat >"$tmp/bad.csv" <<'CSV'
0F0,0F1,0F2,0F3,,,0B3,0B2,0B1,0B0
,1F0,1F1,1F2,1F3,1B3,1B2,1B1,1B0,
CSV
bad 'order = "any"'
train any --set pipeline.order=any \
	--set pipeline.schedule.file="$tmp/bad.csv" || fail 'order = "any": failed'
