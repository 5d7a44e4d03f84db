# The static analyser: cppcheck, at zero findings. A newer one may find more, so
# it speaks in CI and by `make check-analyzer` alone.
set -eu
[ "${CI-}" ] || { echo 'skipped: run make check-analyzer'; exit 77; }
command -v cppcheck >/dev/null || { echo 'skipped: no cppcheck'; exit 77; }
cd "$srcdir"
# Of what it called uninitialised, nothing was: it does not see that a function
# filled what it was given. gcc and valgrind look after that.
cppcheck --std=c11 --enable=warning,performance,portability \
	--suppress=uninitvar --suppress=uninitStructMember \
	--quiet --error-exitcode=1 -j 2 \
	-I include -I core -I kernels -I plugins "-DISA(name)=name" \
	core kernels plugins
