# pipefw's own help, list and describe, with plugins that cannot be used.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# says STATUS TEXT COMMAND...: that exit status, that text in the output.
says() {
	want=$1 text=$2 status=0
	shift 2
	"$@" >"$tmp/out" 2>&1 || status=$?
	if [ "$status" != "$want" ] || ! grep -q -e "$text" "$tmp/out"; then
		echo "$*: status $status, not $want, or no \"$text\" in:"
		cat "$tmp/out"
		exit 1
	fi
}

says 2 '^usage: pipefw COMMAND' pipefw
says 0 '^usage: pipefw COMMAND' pipefw --help
says 0 '^pipefw [0-9]' pipefw --version
says 2 'unknown command "lsit"; did you mean "list"?' pipefw lsit
says 2 'unknown option "--hlep"' pipefw --hlep
says 2 'did you mean "--json"?' pipefw list --jsn
says 2 'unknown kind "stagse"; did you mean "stages"?' pipefw list stagse
says 0 '^  gpt2 ' pipefw list stages

# A program that is not installed finds its plugins from anywhere.
build=$(pwd)
(cd / && unset PIPEFW_PLUGIN_DIR &&
	says 0 '^  gpt2 ' "$build/pipefw" list stages)
says 2 '^usage: pipefw describe' pipefw describe
says 2 'unknown plugin or group "gtp2"; did you mean "gpt2"?' \
	pipefw describe gtp2
says 2 'unknown kind "stag"; did you mean "stage"?' pipefw describe stag:gpt2
says 3 'there is no filter "gpt2"' pipefw describe filter:gpt2
says 3 'No such file' pipefw describe ./pipefw-none-schedule.so
says 3 "must be called pipefw-NAME-stage.so" pipefw describe ./none-stage.so
says 0 'an integer, 1 or more\|an integer from 1' pipefw describe stage:gpt2
says 0 'must be given' pipefw describe model
says 0 'at the end of the cosine' pipefw describe optimizer

# Wrong configs: usage is 2, a plugin 3, and nothing is started.
cat >"$tmp/a.cfg" <<END
model = { stage = "gpt2"; };
data = { train = "none.txt"; };
END
says 2 'set run.stesp=1: run has no key "stesp"; did you mean "steps"?' \
	pipefw run "$tmp/a.cfg" --set run.stesp=1
says 3 'did you mean "gpipe"?' \
	pipefw run "$tmp/a.cfg" --set pipeline.schedule=gpiep
says 2 'cannot open it: No such file' pipefw run "$tmp/b.cfg"

# Plugins that are wrong, or find no hardware, are listed with the reason.
PIPEFW_PLUGIN_DIR=$PWD/tests/plugins/.libs
export PIPEFW_PLUGIN_DIR
says 0 'cannot run here: no such hardware; buy some' pipefw list transports
says 0 'cannot be loaded: ' pipefw list schedules
says 0 'plugin ABI is 999' pipefw list schedules
says 0 '"usable": false, "problem": "no such hardware; buy some"' \
	pipefw list transports --json
says 0 '^filter probe' pipefw describe probe
says 0 '^device probe' pipefw describe probe
says 3 'plugin ABI is 999' pipefw describe abi
says 0 '^schedule good' pipefw describe "$PIPEFW_PLUGIN_DIR/pipefw-good-schedule.so"
says 3 'no plugin in /nowhere, /else' \
	env PIPEFW_PLUGIN_DIR=/nowhere:/else pipefw list

if command -v python3 >/dev/null; then
	for words in 'list --json' 'describe --json probe' 'describe --json run' \
		'describe --json good'; do
		# shellcheck disable=SC2086
		pipefw $words >"$tmp/json"
		python3 -c 'import json, sys
for line in open(sys.argv[1]):
    assert json.loads(line)["name"]' "$tmp/json"
	done
fi
