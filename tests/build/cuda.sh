# --without-cuda leaves no trace in what is built and installed.
set -eu
grep -q '^NVCC = .' Makefile || { echo 'skipped: no CUDA toolkit'; exit 77; }
src=$(cd "$srcdir" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
"$src/configure" --without-cuda >log 2>&1 || { tail -n 20 log; exit 1; }
make -n all >plan 2>&1 || { tail -n 20 plan; exit 1; }
if grep -i -E 'nvcc|kernels/cuda|libcudart|HAVE_CUDA' plan config.h; then
	echo '--without-cuda builds these nevertheless'
	exit 1
fi
