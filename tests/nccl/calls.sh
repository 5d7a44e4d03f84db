# What is asked of NCCL in a run, call by call: ids come with the rendezvous, every
# communicator is made and used once before the first step, in one order for all
# ranks, and what one end sends the other receives, in that order.
. "$srcdir/tests/nccl/lib.sh"

# calls NAME [OPTION]...: a run, and what its processes called, into $tmp/calls.
calls() {
	name=$1
	shift
	rm -f "$tmp/calls"
	FAKE_NCCL_CALLS=$tmp/calls train "$name" --set transport.name=nccl "$@" ||
		fail "$name: failed"
}

# once: each id is made and used at either end, and by nobody else; who sends makes
# it, and all that he makes before he opens a first communicator.
once() {
	awk '
	$2 == "ncclGetUniqueId" {
		if (opened[$1]) print "an id that came too late: " $0
		maker[$3] = $1
	}
	$2 == "ncclCommInitRankConfig" {
		opened[$1] = 1
		if (end[$3, $4]++) print "made twice: " $0
		if ($4 == 0 && maker[$3] != $1) print "of another maker: " $0
		if ($5 > 2) print "too many CTAs: " $0
	}
	END {
		for (id in maker)
			if (!end[id, 0] || !end[id, 1]) print "unused: " id
	}' "$tmp/calls" >"$tmp/out"
	[ ! -s "$tmp/out" ] || fail "$name: ids"
}

# alike: what the two ends of each communicator pass, and in which order.
alike() {
	awk '
	$2 == "ncclSend" && $4 == 0 { sent[$3] = sent[$3] " " $5 }
	$2 == "ncclRecv" && $4 == 1 { got[$3] = got[$3] " " $5 }
	$2 ~ /^nccl(Send|Recv)$/ && ($2 == "ncclRecv") != $4 { print "wrong end: " $0 }
	END {
		for (id in sent) if (sent[id] != got[id])
			print id ":" sent[id] "; not:" got[id]
		for (id in got) if (!(id in sent)) print id ": not sent"
	}' "$tmp/calls" >"$tmp/out"
	[ ! -s "$tmp/out" ] || fail "$name: the two ends of a communicator"
}

# warmed: the first uses of all ranks have an order in common.
warmed() {
	awk '$2 ~ /^nccl(Send|Recv)$/ && !used[$1, $3]++ {
		if (last[$1]) print last[$1], $3
		last[$1] = $3
	}' "$tmp/calls" >"$tmp/firsts"
	tsort "$tmp/firsts" >"$tmp/out" 2>"$tmp/err" ||
		fail "$name: no common order of first uses"
}

# unmixed: no rank uses a communicator again before it has used all of its own.
unmixed() {
	awk '
	$2 == "ncclCommInitRankConfig" { left[$1]++ }
	$2 ~ /^nccl(Send|Recv)$/ && !used[$1, $3]++ { left[$1]--; next }
	$2 ~ /^nccl(Send|Recv)$/ && left[$1] { print "too early: " $0 }
	' "$tmp/calls" >"$tmp/out"
	[ ! -s "$tmp/out" ] || fail "$name: a first use within the steps"
}

# made N: so many communicators.
made() {
	n=$(grep -c 'ncclGetUniqueId' "$tmp/calls")
	[ "$n" = "$1" ] || fail "$name: $n communicators, not $1"
}

# looks N NAME [OPTION]...: a run of four ranks with so many communicators.
looks() {
	n=$1
	shift
	calls "$@" --steps 1 --set pipeline.ranks=4 --set model.layers=8
	made "$n"
	once
	alike
	warmed
}

# A chain has activations forth, gradients back; every rank but 0 tells it what it has
# found, and is told what to do; the two ends of the chain add tied gradients.
looks 14 chain
unmixed
looks 16 loop --set pipeline.schedule=interleaved --set pipeline.chunks=2
unmixed
# One for all kinds: from each rank to the next and back, and between 0 and the others.
edge='--set transport.communicators=edge'
looks 10 chain-edge $edge
same chain chain-edge || fail 'one communicator for an edge: other bits'
looks 10 loop-edge --set pipeline.schedule=interleaved --set pipeline.chunks=2 $edge
same loop loop-edge || fail 'one communicator for an edge: other bits in a loop'

# Eight ranks, as many processes.
calls eight --steps 1 --set pipeline.ranks=8 --set model.layers=8
made 30
once
alike
same chain eight || fail 'eight ranks: other bits'

# A program that is proved where each kind has a queue of its own, and only there.
set -- --set pipeline.schedule=interleaved-zb --set pipeline.chunks=2 \
	--set pipeline.microbatches=8 --set model.layers=8 --set transport.name=nccl
train split "$@" --steps 1 || fail 'a communicator for each kind'
refuses 2 'deadlock: rank 1 waits for 0F2 of rank 0, .* in a queue of the transport' \
	"$@" $edge
