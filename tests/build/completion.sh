# bash completion: what it offers comes from the program.
command -v bash >/dev/null || { echo 'skipped: no bash'; exit 77; }
exec bash -s <<'END'
. "$srcdir/etc/completion/pipefw"
failures=0

# offers WORD LINE...: among the completions of the line's last word.
offers() {
	local wanted=$1
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_pipefw 2>/dev/null
	case " ${COMPREPLY[*]} " in *" $wanted "*) return ;; esac
	echo "'$*' does not offer '$wanted', but: ${COMPREPLY[*]}"
	failures=1
}

offers run pipefw ''
offers schedule pipefw s
offers --steps pipefw run --s
offers --overwrite pipefw run x.cfg -
offers pipeline.schedule= pipefw run x.cfg --set pipe
offers run.steps= pipefw run x.cfg --set run.s
offers model.layers= pipefw run x.cfg --set model.
offers breadth-first pipefw schedule b
offers -m pipefw schedule 1f1b -
offers -v pipefw schedule 1f1b -v
offers csv pipefw schedule 1f1b --format ''
offers gpt2 pipefw describe g
offers filters pipefw list f
offers schedule pipefw new s
offers 1f1b pipefw conform 1
offers --json pipefw conform -
exit $failures
END
