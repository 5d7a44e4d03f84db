#!/bin/sh
# variant NAME [CONFIGURE-ARG...]: a build of its own in _check/NAME, configured
# with these, and all its tests. TARGET, if set, is made instead of `check`.
set -eu
name=$1
shift
src=$(cd "$srcdir" && pwd)
mkdir -p "_check/$name"
cd "_check/$name"
echo "$name: in $PWD, everything it says in $PWD/log"
words="$src $*"
if [ ! -f Makefile ] || [ "$(cat words 2>/dev/null)" != "$words" ]; then
	"$src/configure" "$@" >log 2>&1 || { tail -n 20 log; exit 1; }
	printf '%s\n' "$words" >words
fi
# ${TARGET-} unquoted: it may be several.
if ! ${MAKE:-make} ${TARGET:-check} >log 2>&1; then
	grep -E '^(FAIL|ERROR|XPASS):|: (error|warning):|\*\*\*' log | head -n 40 || :
	sed -n '/^FAIL[:A-Z]* /,$p' test-suite.log 2>/dev/null | head -n 100
	echo "$name: FAILED"
	exit 1
fi
grep -E '^# (PASS|SKIP|FAIL):' log | tr -s '# \n' ' ' || :
echo "$name: passed"
