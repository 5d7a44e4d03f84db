# Failures, and what is said of them.
. "$srcdir/tests/rdma/lib.sh"
in_machines -t 120 guest/faults.sh
