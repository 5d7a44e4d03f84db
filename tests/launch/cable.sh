# Two hosts that are network namespaces, joined by a cable: training is what it
# is on one, and when the cable is pulled both ends say so within 10 s.
. "$srcdir/tests/e2e/lib.sh"

command -v unshare >/dev/null && command -v nsenter >/dev/null &&
	command -v ip >/dev/null || {
	echo 'no unshare, nsenter or ip (util-linux, iproute2)'
	exit 77
}
unshare -n true 2>/dev/null || {
	echo 'this user may not make network namespaces'
	exit 77
}
holders=
trap 'kill $holders 2>/dev/null; rm -rf "$tmp"' EXIT

# A namespace lives as long as a process in it.
unshare -n sleep 300 &
a=$!
unshare -n sleep 300 &
b=$!
holders="$a $b"
in_a() { nsenter -t "$a" -n -- "$@"; }
in_b() { nsenter -t "$b" -n -- "$@"; }
own=$(readlink /proc/self/ns/net)
for i in $(seq 100); do
	[ "$(readlink "/proc/$a/ns/net")" != "$own" ] &&
		[ "$(readlink "/proc/$b/ns/net")" != "$own" ] && break
	sleep 0.1
done
cable=pfw$$
in_a ip link add "$cable" type veth peer name "$cable" netns "$b" 2>/dev/null || {
	echo 'no veth here (a module of the kernel)'
	exit 77
}
in_a ip address add 10.77.0.1/24 dev "$cable"
in_b ip address add 10.77.0.2/24 dev "$cable"
in_a ip link set "$cable" up
in_b ip link set "$cable" up

(umask 077; head -c 32 /dev/urandom | base64 >"$tmp/secret")
PIPEFW_SECRET_FILE=$tmp/secret
export PIPEFW_SECRET_FILE

train one || fail 'failed'
set -- run "$tmp/tiny.cfg" --boot tcp://10.77.0.1:4711 --out "$tmp/two" \
	--set transport.remote=tcp
in_b pipefw "$@" --ranks 1 >"$tmp/err" 2>&1 &
in_a pipefw "$@" --ranks 0 >"$tmp/out" 2>&1 || fail 'over the cable: failed'
wait $! || fail 'over the cable: the guest failed'
same one two || fail 'other weights over the cable'

# A run that would go on for long, and nobody's folder but the lead's.
cat >"$tmp/long.cfg" <<'CFG'
run = { steps = 1000000; timeout = 60.0; };
model = { stage = "synthetic"; layers = 4; forward_us = [1000.0];
  input_us = [1000.0]; weight_us = [1000.0]; bytes = 200000; };
pipeline = { ranks = 4; microbatches = 4; microbatch_size = 1; };
transport = { local = "shm"; remote = "tcp"; };
CFG
set -- run "$tmp/long.cfg" --boot tcp://10.77.0.1:4712 --quiet
in_b pipefw "$@" --ranks 2-3 --out "$tmp/not-made" >"$tmp/err" 2>&1 &
guest=$!
in_a pipefw "$@" --ranks 0-1 --out "$tmp/long" --json >"$tmp/out" 2>&1 &
lead=$!
for i in $(seq 300); do
	grep -q '"event":"step"' "$tmp/out" && break
	sleep 0.1
done
grep -q '"event":"step"' "$tmp/out" || fail 'no step was done'
in_a ip link set "$cable" down
pulled=$(date +%s)
status=0
wait $lead || status=$?
[ $status = 7 ] || fail "the lead ends with $status"
status=0
wait $guest || status=$?
[ $status = 7 ] || fail "the guest ends with $status"
took=$(($(date +%s) - pulled))
[ $took -le 10 ] || fail "$took s after the cable was pulled"
grep -q 'the launcher of ranks 2-3 on host .* cannot be reached' "$tmp/out" ||
	fail 'the lead does not say which host is gone'
grep -q 'rank 3 (process .* on .*): ' "$tmp/out" ||
	fail 'the lead does not say where rank 3 was'
grep -q 'the launcher of rank 0 at 10.77.0.1:4712 .* cannot be reached' \
	"$tmp/err" || fail 'the guest does not say which host is gone'
[ ! -e "$tmp/not-made" ] || fail 'the guest makes a folder'
# Who is told of steps says after which; the other does not say 0.
grep -q 'FAILED after step [1-9]' "$tmp/out" || fail "the lead says: $(cat "$tmp/out")"
grep -q 'FAILED: ' "$tmp/err" || fail "the guest says: $(cat "$tmp/err")"
