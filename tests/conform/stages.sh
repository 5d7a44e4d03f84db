# Every stage built here holds; each way to be wrong is refused by its check.
set -eu
. "$srcdir/tests/conform/lib.sh"
every stage

step='a step, in its own memory'
refused stage nameless 'layers and parameters' 'layer 3, parameter 0 has a name'
refused stage fickle 'parameters once, in any cut' 'parameter .* is .*other.weight'
refused stage spills "$step" 'it writes outside of saved, of'
refused stage unwritten "$step" 'gradient of tokens.weight is'
refused stage exit "$step" 'exit status 5'
refused stage sign 'gradients against differences' 'through blocks.0.up.bias'
refused stage coupled 'any cut, to the bit' 'cut into stages the loss is'
refused stage drifts 'the same again, in other memory' 'the loss is .* and was'
refused stage keeps 'micro-batches in any order' 'the loss is .* and was'
refused stage forgets 'gradients add up over micro-batches' \
	'is not the sum over micro-batches'
refused stage doubled 'evaluation is the training loss' 'evaluation'
refused stage targets 'logits are those of the loss' 'died of signal 11.*logits'
refused stage swallows 'what is not a number is seen' 'finite all the same'
exit $bad
