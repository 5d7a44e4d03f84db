# Two machines, and a wire between them that is not perfect.
. "$srcdir/tests/rdma/lib.sh"
in_machines -n 2 -t 180 guest/wire.sh
