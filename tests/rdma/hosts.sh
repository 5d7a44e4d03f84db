# One run on two hosts: shm within each, verbs between them.
. "$srcdir/tests/rdma/lib.sh"
in_machines -n 2 -t 180 guest/hosts.sh
