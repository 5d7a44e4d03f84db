# etc/quickstart against stand-ins for the package managers, compiler, make and
# pipefw, under dash and busybox sh: what it asks for, installs, refuses, runs.
set -u
srcdir=$(cd "$srcdir" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0
base='awk basename cat chmod cp cut date dirname env find grep head ln ls
mkdir mktemp nproc od rm sed sort tail tee touch tr uname'
tools='busybox cppcheck libibverbs qemu-system-x86_64 ib_write_bw rdma'
all='gcc make autoreconf m4 automake libtoolize pkg-config libconfig'

# program NAME: a stand-in, its body on standard input.
program() {
	{ echo "#!$tmp/base/sh" && cat; } >"$tmp/pool/$1"
	chmod +x "$tmp/pool/$1"
}

# have THING...: now installed: programs come onto the PATH.
have() {
	for thing; do
		if [ -e "$tmp/pool/$thing" ]; then
			ln -s "$tmp/pool/$thing" "$tmp/got/$thing"
		else
			: >"$tmp/got/$thing"
		fi
	done
}

# The programs that a machine may have; $got tells what is installed, and
# misfortunes: files named no-luck-WHERE.
make_pool() {
	mkdir "$tmp/pool" "$tmp/base"
	for tool in $base; do
		path=$(command -v $tool) || path=$(command -v busybox)
		[ "$shell" != busybox ] || path=$(command -v busybox)
		ln -s "$path" "$tmp/base/$tool"
	done
	ln -s "$path_of_shell" "$tmp/base/sh"
	program manager <<-END
		echo "\${0##*/} \$*" >>"$tmp/calls"
		case "\$*" in
		*update | *-Syu*) exit ;;
		*openblas*) [ ! -e "$got/no-luck-openblas" ] || exit 1 ;;
		esac
		[ ! -e "$got/no-luck-manager" ] || { echo "E: mirror gone"; exit 100; }
		for package; do
			case \$package in
			gcc | make | automake | busybox | cppcheck) thing=\$package ;;
			autoconf) thing=autoreconf ;;
			m4) thing=m4 ;;
			libtool) thing=libtoolize ;;
			pkg-config | pkgconf*) thing=pkg-config ;;
			libconfig*) thing=libconfig ;;
			libibverbs-dev | rdma-core*) thing=libibverbs ;;
			qemu-system-x86) thing=qemu-system-x86_64 ;;
			perftest) thing=ib_write_bw ;;
			iproute2) thing=rdma ;;
			*openblas*) thing=openblas ;;
			*hwloc*) thing=hwloc ;;
			*[cC][uU]nit*) thing=cunit ;;
			*) continue ;;
			esac
			ln -sf "$tmp/pool/\$thing" "$got/\$thing" 2>/dev/null
			[ -e "$got/\$thing" ] || { rm "$got/\$thing"; : >"$got/\$thing"; }
		done
	END
	program sudo <<-END
		echo sudo >>"$tmp/calls"
		exec "\$@"
	END
	program root <<-END
		echo 0
	END
	program user <<-END
		echo 1000
	END
	for tool in m4 automake libtoolize $tools; do echo | program $tool; done
	program autoreconf <<-END
		ln -s "$tmp/pool/configure" configure
	END
	program configure <<-END
		echo "configure \$*" >>"$tmp/calls"
		[ ! -e "$got/no-luck-configure" ] || { echo "error: bad luck"; exit 1; }
		: >Makefile
		ln -sf "$tmp/pool/run" run
	END
	program run <<-END
		shift
		exec "$tmp/pool/pipefw" "\$@"
	END
	program pkg-config <<-END
		[ -e "$got/\$2" ]
	END
	program gcc <<-END
		case "\$*" in *-l*) exit 1 ;; esac
	END
	program make <<-END
		[ "\$1" != -C ] || cd -P "\$2"
		case \$(pwd) in *' '*) echo "libtool: what is \$(pwd)?"; exit 2 ;; esac
		case "\$*" in
		*check) echo "# PASS:  4"
			[ ! -e "$got/no-luck-check" ] || { echo "# FAIL:  1"; exit 2; } ;;
		*) [ ! -e "$got/no-luck-make" ] || { echo "x.c:1: bad luck"; exit 2; } ;;
		esac
	END
	program pipefw <<-END
		[ ! -e "$got/no-luck-run" ] || { echo "pipefw: bad luck" >&2; exit 7; }
		echo "pipefw \$*" >>"$tmp/calls"
		if [ "\$1" = generate ]; then echo "and so it ends"; exit; fi
		last= out=
		for word; do
			[ "\$last" != --out ] || out=\$word
			last=\$word
		done
		[ ! -e "\$out" ] || exit 2
		mkdir -p "\$out/model"
		s=0.1 v=2.12534
		[ ! -e "$got/dull" ] || v=3.5
		[ ! -e "$got/slow" ] || s=0.5
		[ ! -e "$got/slowest" ] || s=1.0e+1
		{
			echo '{"event":"start","ranks":2,"byte_entropy":3.2345}'
			for n in 1 2 3; do
				echo '{"event":"step","step":'\$n',"loss":2.9,"step_s":'\$s',"bubble":null}'
			done
			echo '{"event":"end","loss":2,"validation_loss":'\$v',"seconds":1.0}'
		} >"\$out/events.jsonl"
	END
}

# machine MANAGER USER [THING...]: a fresh clone on a machine with these.
machine() {
	rm -rf "$got" "$tmp/home" "$tmp"/*clone "$tmp/calls"
	mkdir -p "$got" "$tmp/home" "$tmp/clone/etc"
	clone=$tmp/clone
	: >"$tmp/calls"
	cp "$srcdir/etc/quickstart" "$srcdir/etc/quickstart.cfg" "$clone/etc"
	[ "$1" = none ] || ln -s "$tmp/pool/manager" "$got/$1"
	ln -s "$tmp/pool/$2" "$got/id"
	shift 2
	have "$@"
}

# quickstart STATUS ARG...: runs it; its output is in $tmp/out.
quickstart() {
	wanted=$1
	shift
	(cd "$tmp" && env -i HOME="$tmp/home" PATH="$got:$tmp/base" \
		"$tmp/base/sh" "$clone/etc/quickstart" "$@") >"$tmp/out" 2>&1 </dev/null
	status=$?
	[ $status = "$wanted" ] || fail "exit status $status, not $wanted"
}

fail() {
	failures=$((failures + 1))
	echo "$shell, $case: $*"
	sed 's/^/    said:   /' "$tmp/out"
	sed 's/^/    called: /' "$tmp/calls"
}
says() { grep -qF -- "$1" "$tmp/out" || fail "does not say '$1'"; }
calls() { grep -qxF -- "$1" "$tmp/calls" || fail "does not call '$1'"; }
calls_no() { ! grep -q "$1" "$tmp/calls" || fail "calls $1"; }

# Everything is missing; `check` installs it all, with these two calls.
test_manager() {
	case=$1
	machine "$1" root
	quickstart 0 check
	calls "$2"
	calls "$3"
	calls "$4"
	says '4 passed, 0 failed'
	calls_no sudo
	: >"$tmp/calls"
	quickstart 0 check
	[ ! -s "$tmp/calls" ] || fail 'a second run installs or configures again'
}

test_managers() {
	test_manager apt-get 'apt-get install -y --no-install-recommends gcc libc6-dev make autoconf m4 automake libtool pkg-config libconfig-dev libcunit1-dev' \
		'apt-get install -y --no-install-recommends libopenblas-dev' \
		'apt-get install -y --no-install-recommends libhwloc-dev'
	test_manager dnf 'dnf install -y gcc glibc-devel kernel-headers make autoconf m4 automake libtool pkgconf-pkg-config libconfig-devel CUnit-devel' \
		'dnf install -y openblas-devel' \
		'dnf install -y hwloc-devel'
	test_manager zypper 'zypper --non-interactive install gcc glibc-devel linux-glibc-devel make autoconf m4 automake libtool pkg-config libconfig-devel cunit-devel' \
		'zypper --non-interactive install openblas-devel' \
		'zypper --non-interactive install hwloc-devel'
	test_manager pacman 'pacman -S --needed --noconfirm gcc linux-api-headers make autoconf m4 automake libtool pkgconf libconfig cunit' \
		'pacman -S --needed --noconfirm openblas' \
		'pacman -S --needed --noconfirm hwloc'
	test_manager apk 'apk add gcc musl-dev linux-headers make autoconf m4 automake libtool pkgconf libconfig-dev cunit-dev' \
		'apk add openblas-dev' \
		'apk add hwloc-dev'
}

test_rights() {
	case='nothing missing, no root'
	machine apt-get user $all $tools openblas hwloc cunit
	quickstart 0 check
	calls_no apt-get

	case='sudo for what is missing'
	machine apt-get user $all $tools cunit sudo
	quickstart 0 check
	calls sudo
	calls 'apt-get update'

	case='neither root nor sudo'
	machine apt-get user $all
	quickstart 1 check
	calls_no apt-get
	says 'apt-get update'
	says 'run the above as root'

	case='no known package manager'
	machine none root make
	quickstart 1 check
	says 'libconfig'
	says 'install these by hand'
}

test_failures() {
	case='the manager fails'
	machine apt-get root $all
	have no-luck-manager
	quickstart 1 check
	says 'E: mirror gone'
	says 'could not install'

	case='only an optional package fails'
	machine apt-get root $all cunit
	have no-luck-openblas
	quickstart 0 check
	says 'going on without'

	for where in configure make; do
		case="$where fails"
		machine none user $all $tools openblas hwloc cunit no-luck-$where
		quickstart 1 check
		says 'bad luck'
		says "$where failed"
	done
	case='a test fails'
	machine none user $all $tools openblas hwloc cunit no-luck-check
	quickstart 2 check
	says '4 passed, 1 failed'

	case='training fails'
	machine none user $all openblas no-luck-run
	quickstart 1 --data "$srcdir/etc/quickstart"
	says 'pipefw: bad luck'

	case='wrong words'
	machine none user $all openblas
	quickstart 1 --dta x
	says "what is '--dta'?"
	quickstart 1 --data "$tmp/nowhere"
	says 'not a file'
}

test_dry_run() {
	for word in check ''; do
		case="--dry-run $word"
		machine apt-get user
		find "$clone" "$tmp/home" | sort >"$tmp/before"
		quickstart 0 --dry-run $word
		find "$clone" "$tmp/home" | sort >"$tmp/after"
		cmp -s "$tmp/before" "$tmp/after" || fail 'leaves something'
		says 'apt-get install'
		[ ! -s "$tmp/calls" ] || fail 'calls'
	done
	says 'pipefw run'
	says 'generate'
}

test_training() {
	case='training'
	machine none user $all openblas
	printf 'abababab' >"$tmp/a text"
	quickstart 0 --data 'a text'
	calls "pipefw run $clone/etc/quickstart.cfg --set data.train=$tmp/a text --steps 300 --out $clone/runs/quickstart-1"
	says '2.12 '
	says '3.23 '
	says 'and so it ends'
	says 'runs/quickstart-1/model/'
	grep -q 'no more than that' "$tmp/out" && fail 'says that nothing was learned'

	case='a second run'
	have slow dull
	quickstart 0
	says 'no more than that'
	calls "pipefw run $clone/etc/quickstart.cfg --set data.train=$clone/runs/corpus.txt --steps 150 --out $clone/runs/quickstart-2"
	[ -s "$clone/runs/corpus.txt" ] || fail 'no corpus'

	case='a very slow machine'
	have slowest
	quickstart 0 --data 'a text'
	calls "pipefw run $clone/etc/quickstart.cfg --set data.train=$tmp/a text --steps 60 --out $clone/runs/quickstart-3"
}

test_spaces() {
	case='a path with spaces'
	machine none user $all $tools openblas hwloc cunit
	mv "$clone" "$tmp/a clone"
	clone="$tmp/a clone"
	quickstart 0 check
	says 'by way of'
	quickstart 0 --data 'a text'
	[ -d "$clone/runs/quickstart-1/model" ] || fail 'no model there'
	case='spaces everywhere'
	mv "$tmp/home" "$tmp/a home"
	(cd "$tmp" && env -i HOME="$tmp/a home" PATH="$got:$tmp/base" \
		"$tmp/base/sh" "$clone/etc/quickstart") >"$tmp/out" 2>&1 &&
		fail 'does not refuse'
	says 'clone to a path without spaces'
	rm -r "$tmp/a home"
}

for shell in dash busybox; do
	path_of_shell=$(command -v $shell) || { echo "no $shell: not tried"; continue; }
	got=$tmp/got
	rm -rf "$tmp/pool" "$tmp/base"
	make_pool
	test_managers
	test_rights
	test_failures
	test_dry_run
	test_training
	test_spaces
done
[ "${case-}" ] || { echo 'skipped: neither dash nor busybox'; exit 77; }
[ $failures = 0 ] || echo "$failures failures"
[ $failures = 0 ]
