# What verbs is refused for before ranks are started, and by --dry-run: no device is
# needed for that.
. "$srcdir/tests/e2e/lib.sh"
[ -e .libs/pipefw-verbs-transport.so ] || {
	echo 'skipped: built without libibverbs'
	exit 77
}
cat >"$tmp/tiny.cfg" <<'CFG'
run = { steps = 1; };
model = { stage = "synthetic"; layers = 2; };
pipeline = { ranks = 2; microbatches = 4; microbatch_size = 1; };
transport = {
  local = "shm";
  remote = {
    name = "verbs";
    rails = "nowhere0:1,nowhere1:1";
  };
};
CFG
sed 's/local = "shm";//; s/remote = {//; s/^  };//' "$tmp/tiny.cfg" >"$tmp/alone.cfg"

# both STATUS TEXT CONFIG [OPTION]...: for a run, and for --dry-run.
both() {
	want=$1 text=$2 config=$3
	shift 3
	says "$want" "$text" pipefw run "$tmp/$config.cfg" --out "$tmp/refused" \
		--quiet "$@"
	[ ! -e "$tmp/refused" ] || fail "$*: refused, and left a folder"
	says "$want" "$text" pipefw run "$tmp/$config.cfg" --dry-run --quiet "$@"
}

both 2 'alone.cfg:8: rails = .*: there is no RDMA device nowhere0' alone
both 2 '--set transport.rails=a:256: rails = "a:256": must be 1 to 4 times' alone \
	--set transport.rails=a:256
both 2 '--set transport.gid_index=1024: .*must be' alone --set transport.gid_index=1024
both 2 'did you mean "rails"' alone --set transport.rail=a
both 2 '--set transport.remote.rails=,: rails = ","' tiny --set transport.remote.rails=,
# What leads to other hosts is this one's business only where there are others.
says 0 '' pipefw run "$tmp/tiny.cfg" --out "$tmp/here" --quiet
head -c 32 /dev/urandom | base64 >"$tmp/secret"
chmod 600 "$tmp/secret"
both 2 'tiny.cfg:8: rails = .*: there is no RDMA device nowhere0' tiny \
	--boot tcp://127.0.0.1:4711 --ranks 1 --secret "$tmp/secret"

# A plan may be for another machine.
if ! pipefw list transports | grep -q 'found: .*port'; then
	says 3 'alone.cfg:7: verbs: no device' pipefw run "$tmp/alone.cfg" \
		--out "$tmp/refused" --quiet --set transport.rails=
	says 0 'verbs: no device' pipefw run "$tmp/alone.cfg" --dry-run \
		--set transport.rails=
fi
