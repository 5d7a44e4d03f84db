# A few writes by perftest, from host 1 or to itself.
soft_roce
write_lat() {
	timeout 40 ib_write_lat -F -d rxe0 -x 1 -u 17 -s 64 -n 20 "$@"
}
if [ "$host" = 1 ]; then
	write_lat >/run/server 2>&1 &
	server=$!
fi
if [ "$host" = "$hosts" ]; then
	until write_lat 10.77.0.1 >/run/client 2>&1; do
		grep -q "Couldn't connect" /run/client || break
		sleep 0.2
	done
	tail -n 2 /run/client
fi
[ "$host" != 1 ] || wait $server || { cat /run/server; exit 1; }
echo "duplicate requests: $(counter duplicate_request)"
