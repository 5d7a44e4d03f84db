# A run on two hosts that loses a rank, or the link.
. "$srcdir/tests/rdma/lib.sh"
in_machines -n 2 -t 180 guest/lost.sh
