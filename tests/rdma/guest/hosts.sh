# gpt2 on four ranks, two on each host, to the bits of four on one.
soft_roce
cat >tiny.cfg <<'CFG'
run = { steps = 1; seed = 1; timeout = 60.0; };
model = { stage = "gpt2"; layers = 4; heads = 2; hidden = 16; context = 8;
  vocab = 256; };
pipeline = { ranks = 4; microbatches = 4; microbatch_size = 1; };
transport = { local = "shm"; remote = "verbs"; };
data = { train = "text"; validation = 0.0; };
CFG
head -c 4000 "$srcdir/README.md" >text
if [ "$host" = 1 ]; then
	head -c 32 /dev/urandom | base64 >/mnt/secret.new
	mv /mnt/secret.new /mnt/secret
fi
until [ -e /mnt/secret ]; do sleep 0.1; done
(umask 077 && cp /mnt/secret secret && chmod 600 secret)

together() {
	timeout 80 pipefw run tiny.cfg --quiet --overwrite --secret secret \
		--boot tcp://10.77.0.1:4711 --ranks $((host * 2 - 2))-$((host * 2 - 1)) "$@"
}
together --out /mnt/run || exit 1
if [ "$host" = 1 ]; then
	pipefw run tiny.cfg --quiet --out single --set transport=shm &&
		cmp single/model/model.safetensors /mnt/run/model/model.safetensors || exit 1
	echo 'the same bits'
fi
