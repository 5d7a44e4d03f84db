# Options and manuals agree, both ways: commands, their options and exit statuses
# with pipefw(1), config keys and plugins' options with pipefw.cfg(5); and the
# schedule in pipefw-plugin(7) compiles and is one.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
man=$srcdir/etc/man
bad=0

# same WHAT MANUAL: $tmp/program and $tmp/manual hold the same words.
same() {
	sort -u "$tmp/program" >"$tmp/a"
	sort -u "$tmp/manual" >"$tmp/b"
	comm -23 "$tmp/a" "$tmp/b" | while read -r x; do
		echo "$1: $x is in the program, not in etc/man/$2"
	done >"$tmp/log"
	comm -13 "$tmp/a" "$tmp/b" | while read -r x; do
		echo "$1: $x is in etc/man/$2, not in the program"
	done >>"$tmp/log"
	[ -s "$tmp/a" ] || echo "$1: nothing found at all" >>"$tmp/log"
	cat "$tmp/log"
	[ ! -s "$tmp/log" ] || bad=1
}

# section NAME MANUAL: the text under .Ss NAME.
section() {
	awk -v want="$1" '/^\.S[sh] /{ in_it = (substr($0, 5) == want) }
		in_it' "$man/$2"
}

# Commands.
pipefw --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' >"$tmp/commands"
for command in $(cat "$tmp/commands"); do
	pipefw "$command" --help >"$tmp/help"
	grep -oE -e '(^|[^a-z-])--?[a-z][a-z-]*' "$tmp/help" |
		sed 's/^[^-]*//' | grep -v -x -e --help >"$tmp/program" || :
	section "$command" pipefw.1 |
		sed -n 's/^\.It Fl \([a-z-]*\).*/-\1/p' >"$tmp/manual"
	[ ! -s "$tmp/program" ] && [ ! -s "$tmp/manual" ] ||
		same "pipefw $command" pipefw.1
done

# Exit statuses: 0 to 12 and nothing else below 128.
sed -n 's/^#define PFW_EXIT_[A-Z]* \([0-9]*\).*/\1/p' \
	"$srcdir/core/base/exit.h" >"$tmp/program"
section 'EXIT STATUS' pipefw.1 | sed -n 's/^\.It \([0-9]*\)$/\1/p' \
	>"$tmp/manual"
same 'exit status' pipefw.1

# names < JSON: the names of the options of one subject.
names() {
	tr '{' '\n' | sed -n 's/^"name": "\([a-z0-9_]*\)", "type".*/\1/p'
}

# "filters" is a list of plugins: no option of a table.
keys() {
	section "$1" pipefw.cfg.5 | sed -n 's/^\.It Va \([a-z0-9_]*\)$/\1/p' |
		grep -v -x "${2-none}" || :
}

for group in run model pipeline transport device optimizer data; do
	pipefw describe --json "$group" | names >"$tmp/program"
	keys "$group" filters >"$tmp/manual"
	same "group $group" pipefw.cfg.5
done

# Plugins: each has its section, each section its plugin, their keys are equal.
pipefw list --json | sed -n 's/^{"name": "\([^"]*\)", "kind": "\([^"]*\)".*/\2 \1/p' \
	>"$tmp/plugins"
cp "$tmp/plugins" "$tmp/program"
sed -n '/^\.Sh PLUGINS/,/^\.Sh EXAMPLES/s/^\.Ss //p' "$man/pipefw.cfg.5" \
	>"$tmp/manual"
# Built only where its library is.
for plugin in 'transport verbs' 'transport nccl' 'device cuda'; do
	grep -q -x "$plugin" "$tmp/plugins" ||
		sed -i "/^$plugin\$/d" "$tmp/manual"
done
same plugin pipefw.cfg.5
while read -r kind name; do
	pipefw describe --json "$kind:$name" | names >"$tmp/program"
	keys "$kind $name" >"$tmp/manual"
	if [ -s "$tmp/program" ] || [ -s "$tmp/manual" ]; then
		same "$kind $name" pipefw.cfg.5
	fi
done <"$tmp/plugins"

# The schedule.
sed -n '/^\.\\" example/,/^\.\\" end of example/p' "$man/pipefw-plugin.7" |
	sed -e '/^\./d' -e 's/\\e/\\/g' >"$tmp/eager.c"
lines=$(grep -c . "$tmp/eager.c")
[ "$lines" -lt 40 ] || { echo "the schedule has $lines lines"; bad=1; }
if command -v pkg-config >/dev/null; then
	# shellcheck disable=SC2046
	$CC -std=c11 -Wall -Wextra -Werror -fPIC -shared \
		-o "$tmp/pipefw-eager-schedule.so" "$tmp/eager.c" \
		$(pkg-config --cflags --libs pipefw)
	pipefw describe "$tmp/pipefw-eager-schedule.so" >"$tmp/eager"
	grep -q 'forwards ahead for each rank' "$tmp/eager"
	pipefw schedule "$tmp/pipefw-eager-schedule.so" -p 4 -m 8 \
		--format csv >"$tmp/eager"
	grep -q '^0F0,0F1,' "$tmp/eager"
	pipefw conform "$tmp/pipefw-eager-schedule.so" >"$tmp/eager" ||
		{ cat "$tmp/eager"; bad=1; }
fi

# What conform asks.
checks() {
	pipefw conform --json "$1:$2" |
		sed -n 's/.*"check": "\([^"]*\)".*/\1/p' | grep -v -x loads
}
asked() {
	checks "$1" "$2" >"$tmp/program" || :
	section "Checks of ${1}s" pipefw-plugin.7 | sed -n 's/^\.It //p' \
		>"$tmp/manual"
	same "conform $1" pipefw-plugin.7
}
asked schedule 1f1b
asked transport shm
asked stage gpt2

# No warning from the formatter, where there is one.
if command -v groff >/dev/null; then
	for page in pipefw.1 pipefw.cfg.5 pipefw-plugin.7; do
		groff -mdoc -Tutf8 -ww "$man/$page" 2>"$tmp/log" >"$tmp/text" ||
			continue
		[ ! -s "$tmp/log" ] || { cat "$tmp/log"; bad=1; }
	done
fi
exit $bad
