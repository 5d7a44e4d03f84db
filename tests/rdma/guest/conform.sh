# The conformance suite of transports over Soft-RoCE, with the ways to notify.
soft_roce
for options in '' '--set qps=4' '--set notify=send'; do
	echo "conform $options"
	pipefw conform $options transport:verbs || exit 1
done
