# From a config of the source tree to an installed one: its folder is not the
# user's to write to, so --out says where; the text lies beside it.
/^[[:space:]]*out = /d
s| out = "[^"]*";||
s|"[./]*/runs/corpus.txt";.*|"corpus.txt";        # any text will do|
s| etc/quickstart runs it; by hand, after that:||
s|build/pipefw run etc/quickstart.cfg|pipefw run quickstart.cfg|
s|^#   pipefw run [a-z0-9-]*.cfg|& --out DIR|
