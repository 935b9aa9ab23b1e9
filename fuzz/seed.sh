#!/bin/sh
# Makes fuzz/corpus from the log dirs of real brokers (testdata/real, or those named) and from the inputs made by hand.
set -eu
cd "$(dirname "$0")"
cargo run --quiet --example seed -- corpus "${1:-../testdata/real}"
for target in corpus/*/; do
    printf '%6d %s\n' "$(find "$target" -type f | wc -l)" "$target"
done
