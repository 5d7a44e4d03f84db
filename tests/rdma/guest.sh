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
