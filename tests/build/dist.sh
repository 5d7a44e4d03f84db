# Whatever git holds is in the distribution too, but for dot-files.
set -eu
tracked=$(git -C "$srcdir" ls-files 2>/dev/null) && [ "$tracked" ] ||
	{ echo 'skipped: not a clone, or no git'; exit 77; }
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
make -s distdir distdir="$tmp/dist" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
bad=0
for file in $tracked; do
	case $file in .*) continue ;; esac
	[ ! -e "$srcdir/$file" ] || [ -e "$tmp/dist/$file" ] && continue
	echo "$file is not distributed: name it in its room's local.am"
	bad=1
done
exit $bad
