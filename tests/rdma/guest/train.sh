# gpt2 over verbs, to the bits of shm in the same guest: every schedule; several
# queue pairs; WRITE and SEND. Every process of a run dies with its launcher.
soft_roce
cat >tiny.cfg <<'CFG'
run = { steps = 1; seed = 1; timeout = 60.0; };
model = { stage = "gpt2"; layers = 2; heads = 2; hidden = 16; context = 8;
  vocab = 256; };
pipeline = { ranks = 2; microbatches = 4; microbatch_size = 1; };
data = { train = "text"; validation = 0.0; };
CFG
head -c 4000 "$srcdir/README.md" >text

train() {
	name=$1
	shift
	pipefw run tiny.cfg --json --overwrite --out "$name" "$@" \
		>"$name.out" 2>"$name.err"
}

# same WHAT [OPTION]...: a run over verbs gives the weights of shm.
same() {
	what=$1
	shift
	train verbs --set transport=verbs "$@" && grep -q '"copied_bytes":0' verbs.out &&
		cmp shm/model/model.safetensors verbs/model/model.safetensors &&
		echo "$what: the same bits" && return
	echo "$what: failed"
	cat verbs.out verbs.err
	exit 1
}

train shm || { cat shm.err; exit 1; }
same 'four queue pairs' --set transport.qps=4
grep -q '^  verbs      rxe0 port 1, .*; WRITE_WITH_IMM; host memory$' verbs.err ||
	{ cat verbs.err; exit 1; }
same 'WRITE and SEND' --set transport.notify=send
for schedule in $(pipefw list --json schedules |
	sed -n 's/^{"name": "\([^"]*\)".*/\1/p'); do
	for chunks in 1 2; do
		pipefw run tiny.cfg --dry-run --quiet --set pipeline.chunks=$chunks \
			--set pipeline.schedule=$schedule >/dev/null 2>&1 && break
	done
	same "$schedule" --set pipeline.schedule=$schedule --set pipeline.chunks=$chunks
done
