# What scripts of vm.sh use in the guest.

# An RDMA device rxe0 with an address: on a wire of its own, or on the link
# between the two hosts. 4096 bytes of payload a packet.
soft_roce() {
	if [ "$hosts" = 1 ]; then
		ip link add veth0 type veth peer name veth1
		ip link set veth1 mtu 4200 up
		wire=veth0
	else
		wire=eth0
	fi
	ip link set lo up
	ip link set "$wire" mtu 4200 up
	address=10.77.0.$host
	export address
	ip address add "$address/24" dev "$wire"
	rdma link add rxe0 type rxe netdev "$wire"
}

# A second one, rxe1, on the other link between two hosts.
second_rail() {
	ip link set eth1 mtu 4200 up
	ip address add "10.77.1.$host/24" dev eth1
	rdma link add rxe1 type rxe netdev eth1
}

# counter NAME [DEVICE]: of rxe0, since it was made.
counter() {
	cat "/sys/class/infiniband/${2:-rxe0}/ports/1/hw_counters/$1"
}

# two_hosts STEPS [OF RUN]: tiny.cfg and its text, for two ranks on each, and the
# secret that both have.
two_hosts() {
	cat >tiny.cfg <<CFG
run = { steps = $1; seed = 1; timeout = 60.0; ${2-} };
model = { stage = "gpt2"; layers = 4; heads = 2; hidden = 16; context = 8;
  vocab = 256; };
pipeline = { ranks = 4; microbatches = 4; microbatch_size = 1; };
transport = { local = "shm"; remote = { name = "verbs"; }; };
data = { train = "text"; validation = 0.0; };
CFG
	head -c 4000 "$srcdir/README.md" >text
	umask 077
	if [ "$host" = 1 ]; then
		head -c 32 /dev/urandom | base64 >/mnt/secret.new
		mv /mnt/secret.new /mnt/secret
	fi
	until [ -e /mnt/secret ]; do sleep 0.1; done
	cp /mnt/secret secret && chmod 600 secret
}
