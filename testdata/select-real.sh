#!/usr/bin/env bash
# Makes testdata/real out of a collection of log dirs written by real brokers, and lists it in testdata/real/MANIFEST.
# Needs bash, grep, find, sha256sum and zstd.
#
#   testdata/select-real.sh COLLECTION
#
# COLLECTION/<release>/<scenario>/ holds log-dir/ (one broker) or log-dirs/broker-N and log-dirs/{before,after}/broker-N
# (three brokers), broker.txt, truth.jsonl and expected.jsonl. What these are is said at the top of the MANIFEST.
set -euo pipefail
export LC_ALL=C

collection=$1
real=$(cd "$(dirname "$0")" && pwd)/real
commands=$(mktemp)
trap 'rm -f "$commands"' EXIT
rm -rf "$real"

# copy DIRECTORY: every file below it, but no index of 10 MB that a broker preallocated and had not filled yet.
copy() {
  (cd "$collection" && find "$1" -type f ! -size +1000k) | while read -r file; do
    mkdir -p "$real/$(dirname "$file")"
    cp "$collection/$file" "$real/$file"
    printf '%s\tcp\n' "$file" >>"$commands"
  done
}

# lines FILE GREP-ARGUMENTS...: the lines that grep lets through, as they stand, compressed.
lines() {
  local file=$1
  shift
  grep "$@" "$collection/$file" | zstd -q -19 -o "$real/$file.zst"
  printf '%s.zst\tgrep' "$file" >>"$commands"
  printf " '%s'" "$@" >>"$commands"
  printf ' %s | zstd -19\n' "$file" >>"$commands"
}

# Runs of kafka-dump-log that decode internal topics are left out (-decoder").
for scenario in 2.8.2/magic 2.8.2/transactions 3.9.2/{compaction,epochs,segments,transactions} \
  4.4.0/{codecs,compaction,coordinators,transactions}; do
  copy "$scenario/log-dir"
  copy "$scenario/broker.txt"
  lines "$scenario/truth.jsonl" -e ''
  lines "$scenario/expected.jsonl" -v -e '-decoder"'
done

# The preallocated indexes of these are not copied, so the runs that read them go too.
copy 4.4.0/metadata/log-dir
copy 4.4.0/metadata/broker.txt
lines 4.4.0/metadata/truth.jsonl -e ''
lines 4.4.0/metadata/expected.jsonl -v -e '-decoder"' -e '-delete","arguments":.*index"],"exit"'
copy 4.4.0/killed/log-dir
copy 4.4.0/killed/broker.txt
lines 4.4.0/killed/truth.jsonl -e ''
lines 4.4.0/killed/expected.jsonl -v -e '-decoder"' -e '"__transaction_state-0","arguments":.*index"],"exit"'

# Of three brokers, the leader and one follower.
for scenario in 3.9.0/replicas-lagging 3.9.0/replicas-steady; do
  copy "$scenario/log-dirs/broker-1"
  copy "$scenario/log-dirs/broker-2"
  copy "$scenario/broker.txt"
  lines "$scenario/truth.jsonl" -v -e '"kind":"replica","broker":3,'
  lines "$scenario/expected.jsonl" -v -e '-decoder"' -e '^{"broker":3,'
done
copy 3.9.0/replicas-diverged/log-dirs/before/broker-1
copy 3.9.0/replicas-diverged/log-dirs/before/broker-2
copy 3.9.0/replicas-diverged/broker.txt
lines 3.9.0/replicas-diverged/truth.jsonl -v -e '"state":"after"' -e '"state":"before","broker":3,'
lines 3.9.0/replicas-diverged/expected.jsonl -v -e '-decoder"' -e '^{"state":"after"' -e '^{"state":"before","broker":3,'

{
  cat <<'EXPLANATION'
# Every file of testdata/real. Written by testdata/select-real.sh; tests/real_data_manifest.rs compares list and files.
#
# Origin: real Apache Kafka brokers and clients of the releases 2.8.2, 3.9.0, 3.9.2 and 4.4.0, run for this project
# (November 2026), one broker each, three in replicas-*. Nothing in a log dir was made or changed by hand or by kfsck.
# For each <release>/<scenario>:
#   log-dir/ or log-dirs/[before/]broker-N/   the log dir as the stopped broker left it
#   broker.txt          release, settings, how the broker was stopped, files left out
#   truth.jsonl.zst     what that release's consumer, ListOffsets and DescribeProducers said just before the stop
#   expected.jsonl.zst  what kafka-dump-log prints, one line a run inside the partition directory; @DIR@ stands for the
#                       absolute path of that directory. Release 4.4.0 was dumped with the tool of 4.3.1.
#
# Left out, beyond what broker.txt names: .lock; preallocated 10 MB indexes (4.4.0/metadata/log-dir/*-delete/*.index and
# *.timeindex, 4.4.0/killed/log-dir/__transaction_state-0/*.index and *.timeindex) and the runs that read them; runs with
# a decoder option; of the three brokers of replicas-* the third, and in replicas-diverged the state "after".
# No directory of the originals was empty. Modification times and modes are those of the checkout: nothing may rely on them.
#
# The command made the file out of the collection of originals; cp copied the file of the same path.
EXPLANATION
  printf '# path\tsize\tsha256\trelease\tscenario\tcommand\n'
  sort "$commands" | while IFS=$'\t' read -r path command; do
    digest=$(sha256sum <"$real/$path")
    scenario=${path#*/}
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$path" "$(stat -c %s "$real/$path")" "${digest%% *}" "${path%%/*}" "${scenario%%/*}" "$command"
  done
} >"$real/MANIFEST"
