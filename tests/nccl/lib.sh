# For the tests of nccl as a plugin: stand-ins where the loader looks first.
. "$srcdir/tests/e2e/lib.sh"
fakes=$PWD/tests/nccl/.libs
ln -s "$fakes/libfakenccl.so" "$tmp/libnccl.so.2"
LD_LIBRARY_PATH=$tmp:$PWD/tests/cuda/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
PIPEFW_PLUGIN_DIR=$fakes:$PIPEFW_PLUGIN_DIR
export LD_LIBRARY_PATH PIPEFW_PLUGIN_DIR
