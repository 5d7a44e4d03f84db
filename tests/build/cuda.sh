# --without-cuda leaves no trace in what is built and installed; capabilities that
# the toolkit does not know are left out, with a word.
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

# An older toolkit, which knows less.
nvcc=$(sed -n 's/^NVCC = //p' "$OLDPWD/Makefile")
mkdir -p old/bin
for part in include lib lib64 targets; do
	[ ! -e "${nvcc%/bin/nvcc}/$part" ] ||
		ln -s "${nvcc%/bin/nvcc}/$part" "old/$part"
done
cat >old/bin/nvcc <<SH
#!/bin/sh
case \$* in
--version) echo 'Cuda compilation tools, release 11.8, V11.8.89' ;;
--list-gpu-arch) printf 'compute_80\ncompute_90\n' ;;
*) exec "$nvcc" "\$@" ;;
esac
SH
chmod +x old/bin/nvcc
"$src/configure" --with-cuda="$tmp/old" --with-cuda-arch=80,90,100 >log 2>&1 ||
	{ tail -n 20 log; exit 1; }
grep -q 'CUDA 11.8 does not know 100: left out' log || {
	echo 'nobody says what is left out'
	exit 1
}
sed -n 's/^NVCC_ARCH = *//p' Makefile >arch
echo '-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90' \
	'-gencode arch=compute_90,code=compute_90' | cmp - arch || exit 1
! "$src/configure" --with-cuda="$tmp/old" --with-cuda-arch=100 >log 2>&1 &&
	grep -q 'knows none of these' log || {
	echo 'nothing left to build for is not refused'
	exit 1
}
