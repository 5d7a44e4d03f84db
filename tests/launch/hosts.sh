# Whole runs of two launchers: the same bits as on one host, what is refused, and
# two network namespaces between which the cable is pulled.
. "$srcdir/tests/e2e/lib.sh"

(umask 077; head -c 32 /dev/urandom | base64 >"$tmp/secret")
PIPEFW_SECRET_FILE=$tmp/secret
export PIPEFW_SECRET_FILE
host=127.0.0.1
# Below those that the kernel gives to who calls, and the virtual machines of tests/rdma.
port=$((10000 + $$ % 9900))

# both NAME GUEST [OPTION]...: rank 0 on host a, rank 1 on host b, into
# $tmp/NAME; GUEST: options of b alone.  What they say is in $tmp/a and $tmp/b,
# what became of them in $ended.
both() {
	out=$tmp/$1 more=$2 lead=0 guest=0
	shift 2
	port=$((port + 1))
	set -- run "$tmp/tiny.cfg" --boot "tcp://$host:$port" --out "$out" "$@"
	# shellcheck disable=SC2086
	PIPEFW_HOST_ID=b pipefw "$@" --ranks 1 $more >"$tmp/b" 2>&1 &
	PIPEFW_HOST_ID=a pipefw "$@" --ranks 0 --overwrite >"$tmp/a" 2>&1 ||
		lead=$?
	wait $! || guest=$?
	ended="$lead $guest"
}

# said HOST TEXT
said() {
	grep -q -e "$2" "$tmp/$1" && return
	echo "host $1 does not say \"$2\"; they say, and end with $ended:"
	cat "$tmp/a" "$tmp/b"
	exit 1
}

# The same bits, whatever carries them.
for schedule in 1f1b 'interleaved chunks=2' 'zbv chunks=2'; do
	set -- --set "pipeline.schedule=${schedule% *}"
	[ "${schedule#* }" = "$schedule" ] ||
		set -- "$@" --set "pipeline.${schedule#* }"
	train one "$@" || fail "$schedule: failed"
	both hosts '' --set transport.remote=tcp --json "$@"
	[ "$ended" = '0 0' ] || said a 'an end'
	same one hosts || fail "$schedule: other weights on two hosts"
done
said a '"event":"end"'
! grep -q '"event"' "$tmp/b" || fail 'the guest prints the run'
if grep -q . /proc/net/if_inet6 2>/dev/null; then
	train one || fail 'failed'
	host='[::1]'
	both hosts '' --set transport=tcp --quiet
	[ "$ended" = '0 0' ] || said a 'an end'
	same one hosts || fail 'other weights over IPv6'
	host=127.0.0.1
fi

# Whoever reads what the lead prints is slower than run.timeout: all wait.
cat >"$tmp/many.cfg" <<'CFG'
run = { steps = 4000; timeout = 1.0; };
model = { stage = "synthetic"; layers = 2; forward_us = [5.0]; input_us = [5.0];
  weight_us = [5.0]; };
pipeline = { ranks = 2; microbatches = 2; microbatch_size = 1; };
transport = { local = "shm"; remote = "tcp"; };
CFG
port=$((port + 1))
set -- run "$tmp/many.cfg" --boot "tcp://$host:$port" --out "$tmp/many" --json
PIPEFW_HOST_ID=b pipefw "$@" --ranks 1 >"$tmp/b" 2>&1 &
{
	PIPEFW_HOST_ID=a pipefw "$@" --ranks 0 2>"$tmp/a" || :
} | {
	sleep 4
	cat
} >"$tmp/out"
wait $! || fail 'the guest did not wait for who reads'
tail -n 1 "$tmp/out" | grep -q '"event":"end"' || fail 'the lead did not wait'

# What does not fit is named, by both.
both no '' --set transport=shm
said a 'joins ranks of one: set transport.remote'
said b 'joins ranks of one: set transport.remote'
both no '' --set transport.local=tcp --set transport.remote=shm
said b 'joins ranks of one: set transport.remote'
: >"$tmp/file"
both file ''
said b 'the launcher of rank 0 refuses: .*/file'
set -- --set transport=tcp --set run.timeout=2
both no '--set run.seed=9' "$@"
said b 'it has "run.seed = 9;", rank 0 has "run.seed = 1;"'
said a 'rank 1 has not come in 2 s: start `pipefw run .* --ranks 1` on its host'
[ "$ended" = '6 6' ] || said a 'status 6'
both no "--set data.train=$tmp/tiny.cfg" "$@"
said b 'contents of data.train'
both no "--out $tmp/elsewhere" "$@" --set run.timeout=20
said b 'is not the run.s folder that rank 0.s host has'
said a 'is not the run.s folder that rank 0.s host has'
says 2 'needs --boot tcp://HOST:PORT and --ranks' \
	pipefw run "$tmp/tiny.cfg" --ranks 1
says 2 'must be A or A-B, of ranks 0 to 1' \
	pipefw run "$tmp/tiny.cfg" --boot tcp://a:1 --ranks 1-2
chmod 644 "$tmp/secret"
says 2 'chmod 600' pipefw run "$tmp/tiny.cfg" --boot tcp://a:1 --ranks 1
chmod 600 "$tmp/secret"
