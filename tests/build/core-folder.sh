# Autoconf takes a file `core` for a core dump and removes it; ours is a folder.
# configure.ac keeps its hands off, and another autoconf may put them elsewhere.
if grep -nE 'rm( +-[a-z]+)* +([^;|&]* )?core( |$)' "$srcdir/configure"; then
	echo 'these lines of configure would remove core/: see the top of configure.ac'
	exit 1
fi
