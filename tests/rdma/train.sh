# gpt2 over verbs in one machine, to the bits of shm.
. "$srcdir/tests/rdma/lib.sh"
in_machines -t 150 -c 2 guest/train.sh
