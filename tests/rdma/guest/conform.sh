# The conformance suite of transports over Soft-RoCE; in the long run with every way
# to notify, which the other tests of this folder try in little.
soft_roce
set -- ''
[ -z "$PIPEFW_LONG" ] || set -- '' '--set qps=4' '--set notify=send'
for options; do
	echo "conform $options"
	pipefw conform $options transport:verbs || exit 1
done
