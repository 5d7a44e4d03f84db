# What scripts of vm.sh use in the guest.

# An RDMA device rxe0 with an address: on a wire of its own, or on the link
# between the two hosts. 4096 bytes of payload a packet.
soft_roce() {
	if [ "$hosts" = 1 ]; then
		ip link add veth0 type veth peer name veth1
		ip link set veth1 mtu 4200 up
		wire=veth0
	else
		wire=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
	fi
	ip link set lo up
	ip link set "$wire" mtu 4200 up
	address=10.77.0.$host
	export address
	ip address add "$address/24" dev "$wire"
	rdma link add rxe0 type rxe netdev "$wire"
}

# counter NAME: of rxe0, since it was made.
counter() {
	cat "/sys/class/infiniband/rxe0/ports/1/hw_counters/$1"
}
