# Every transport and filter built here holds; each way to be wrong is refused by
# its check.
set -eu
. "$srcdir/tests/conform/lib.sh"
every transport
every filter

sizes='sizes in both directions'
refused transport order properties 'PFW_ORDER'
refused transport blind "an older core's properties" 'with .size .* writes byte'
refused transport greedy 'all slots in flight, freed in any order' \
	'acquire() of a slot that is not released gives 0, not -EAGAIN'
refused transport short "$sizes" '4097 bytes sent in slot 0 come as 4096'
refused transport skewed "$sizes" 'slot 0 is not aligned'
refused transport twice "$sizes" 'the identity of message 0'
refused transport exit "$sizes" 'exit status 4, opening a channel'
refused transport mute 'misuse is refused' 'gives -EMSGSIZE and no sentence'
refused transport late 'wait() has a deadline' 'has passed gives 0'
refused transport immortal 'closed with messages in flight' \
	'check() after the other end was closed gives 0, not -EPIPE'
refused transport anybody "another run's rank is refused" \
	'while only a rank of another run has come gives 0'
refused transport planless 'two plans are refused' 'gives 0 at the'
refused transport trusting 'a bad address is refused' 'died of signal\|ended the process'
refused transport copied counters 'slots are shared, and 7000 bytes'
exit $bad
