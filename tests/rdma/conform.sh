# The conformance suite of transports, over verbs in one machine.
. "$srcdir/tests/rdma/lib.sh"
in_machines -t 400 -c 2 guest/conform.sh
