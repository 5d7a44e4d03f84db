# Every public header compiles alone, as C11 and as C++, without a warning.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# try COMPILER FLAG SUFFIX: each header alone.
try() {
	for header in "$srcdir"/include/pipefw/*.h; do
		echo "#include <pipefw/${header##*/}>" >"$tmp/alone.$3"
		$1 $2 -Wall -Wextra -Werror -pedantic -I"$srcdir/include" \
			-fsyntax-only "$tmp/alone.$3" && continue
		echo "${header##*/} does not compile alone: $1 $2"
		bad=1
	done
}

try "$CC" -std=c11 c
cxx=${CXX:-c++}
if command -v "${cxx%% *}" >/dev/null; then
	try "$cxx" -std=c++11 cc
else
	echo "no C++ compiler: headers not tried as C++"
fi
exit $bad
