#!/bin/sh
# Four workloads at once, tied into a ring by tokens so that their states must all be of one instant:
#
#   counter -> table -> pipe -> append -> counter        (FIFOs a, b, c, d in /w)
#
# Tokens are numbered; WINDOW of them are under way at any time. Each stage counts the tokens it has
# seen and accepts only its count plus one: a stage whose state is one step older or newer than the
# others', or a FIFO that has lost or repeated a line, is noticed at the next token (TORN), or the ring
# stands still. Each stage also checks what is its own: the shell its variables, Lua a table, the pipe
# its numbers (with a full pipe between two processes all the time), append a file's length and lines.
mkdir -p /w
rm -f /w/*
mkfifo /w/a /w/b /w/c /w/d
echo 0 > /w/marker
lua /workload/table.lua &
lua /workload/produce.lua | lua /workload/consume.lua &
lua /workload/append.lua &

exec 4>/w/a 3</w/d
for k in 1 2 3 4; do
    echo $k >&4
done
n=0
while read -r k <&3; do
    n=$((n + 1))
    if [ "$k" != $n ]; then
        echo "TORN counter: expected $n, found $k"
        exit 1
    fi
    echo $((n + 4)) >&4
    [ $((n % 10)) = 0 ] && echo "tick $n"
done
echo "TORN counter: the ring is broken"
