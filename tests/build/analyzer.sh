# The static analyser: cppcheck, at zero findings. A newer one may find more, so
# it speaks in CI and by `make check-analyzer` alone.
set -eu
[ "${CI-}" ] || { echo 'skipped: run make check-analyzer'; exit 77; }
command -v cppcheck >/dev/null || { echo 'skipped: no cppcheck'; exit 77; }
cd "$srcdir"
cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr \
	--quiet --error-exitcode=1 -j 2 -I include -I core -I kernels -I plugins "-DISA(name)=name" \
	core kernels plugins
