# What the shared objects export and need: libpipefw what is marked PFW_API and
# no more, a plugin its descriptor, and neither libpipefw nor the program links
# a compute or network library.
set -eu
LC_ALL=C
export LC_ALL
lib=.libs/libpipefw.so
for tool in nm readelf; do
	command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# The word before the first parenthesis of each declaration that PFW_API begins.
sed -n 's/^PFW_API [^(]*[ *]\([a-z0-9_]*\)(.*/\1/p' \
	"$srcdir"/include/pipefw/*.h "$srcdir"/core/cli/cli.h | sort >"$tmp/wanted"
exports() { nm -D --defined-only "$1" | awk '$3 !~ /^_/ { print $3 }' | sort; }

exports $lib >"$tmp/found"
if ! diff "$tmp/wanted" "$tmp/found" >"$tmp/diff"; then
	echo "$lib does not export exactly what is marked PFW_API (<: only marked, >: only exported):"
	cat "$tmp/diff"
	bad=1
fi
for so in .libs/pipefw-*.so; do
	[ -e "$so" ] || continue
	[ "$(exports "$so")" = pfw_plugin ] && continue
	echo "$so exports more or less than pfw_plugin:" $(exports "$so")
	bad=1
done
for elf in $lib .libs/pipefw; do
	[ -e $elf ] || continue
	if readelf -d $elf | grep -E 'NEEDED.*(blas|cuda|cublas|cudnn|nccl|ibverbs|rdmacm|pmix)'; then
		echo "$elf must not link these: only plugins do"
		bad=1
	fi
done

# CUDA is the cuda device's alone; where it was left out, nobody needs it.
for elf in .libs/pipefw-*.so; do
	case $elf in */pipefw-cuda-device.so | */pipefw-nccl-*) continue ;; esac
	if readelf -d "$elf" | grep -E 'NEEDED.*(cuda|cublas|cudnn)'; then
		echo "$elf must not link these"
		bad=1
	fi
done
exit $bad
