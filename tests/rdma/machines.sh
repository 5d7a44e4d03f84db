# The machines themselves: Soft-RoCE in one and between two, by the tools of others;
# a script that fails or hangs is said to.
. "$srcdir/tests/rdma/lib.sh"
in_machines -t 60 guest/tools.sh || exit 1
in_machines -n 2 -t 90 guest/tools.sh || exit 1
in_machines -t 60 guest/fail.sh
[ $? = 3 ] || { echo 'a status got lost'; exit 1; }
in_machines -t 15 guest/hang.sh
[ $? = 124 ] || { echo 'a machine that hangs was not ended'; exit 1; }
