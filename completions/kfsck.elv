
use builtin;
use str;

set edit:completion:arg-completer[kfsck] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'kfsck'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'kfsck'= {
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand ls 'List partitions, or the segments of one: sizes, offsets, times'
            cand dump-log 'Show what is in Kafka''s files: batches, records, entries'
            cand lookup 'Find a message by offset, by timestamp or by key'
            cand verify-index 'Are these indexes right?'
            cand check 'Is this partition, or this log dir, sound?'
            cand rebuild-index 'Make indexes again from the log, as Kafka''s recovery does'
            cand truncate-to-hw 'Cut partitions back: an unreadable end, or to an offset'
            cand undo 'Take back what a change has done, also an interrupted one'
            cand completions 'Print the completions of a shell'
            cand man 'Print a man page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'kfsck;ls'= {
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;dump-log'= {
            cand --from-offset 'Only offsets from here on'
            cand --to-offset 'Only offsets below this one'
            cand --from-time 'Only timestamps from here on: RFC 3339, a date, back from now (-2h)'
            cand --to-time 'Only timestamps before this one'
            cand -n 'At most so many records with --records, else batches'
            cand --limit 'At most so many records with --records, else batches'
            cand --key 'Only records with this key (repeatable: any of them)'
            cand --key-prefix 'Only records whose key begins so'
            cand --header 'Only records with this header: KEY or KEY=VALUE (repeatable: all of them)'
            cand --producer-id 'Only batches of this producer (repeatable)'
            cand --leader-epoch 'Only batches of this partition leader epoch (repeatable)'
            cand --isolation 'What transactions may show'
            cand --key-format 'How keys are shown'
            cand --value-format 'How values are shown'
            cand --max-value-bytes 'How much of a key, value or header text shows; the rest is counted. JSON always has everything'
            cand --max-batch-bytes 'The largest batch that is taken into memory and the most that it may decompress to'
            cand -j 'How many threads work at the same time'
            cand --jobs 'How many threads work at the same time'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand -r 'Print the records too, not only their batches'
            cand --records 'Print the records too, not only their batches'
            cand --stop-at-damage 'End each file at its first damage instead of going on at the next intact batch'
            cand --control 'Only control batches: transaction markers, KRaft control records'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;lookup'= {
            cand --offset 'Where this offset is (repeatable)'
            cand --timestamp 'The first record at or after this time, or a name like latest (repeatable)'
            cand --key 'The newest record with this key (repeatable)'
            cand --method 'How to find it'
            cand -n 'Print so many records from the place that was found on'
            cand --limit 'Print so many records from the place that was found on'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --all 'With --key: every record with the key, not only the newest'
            cand --explain 'Show each step: segments considered, index entries, batches read'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;verify-index'= {
            cand --show 'The least severity that is shown; all are counted'
            cand --max-batch-bytes 'With --deep: the most that a batch may decompress to'
            cand -j 'How many threads work at the same time'
            cand --jobs 'How many threads work at the same time'
            cand --progress 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --deep 'Decompress and decode every record too'
            cand --strict 'Let warnings set exit status 4 too'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;check'= {
            cand --show 'The least severity that is shown; all are counted'
            cand --max-batch-bytes 'With --deep: the most that a batch may decompress to'
            cand -j 'How many threads work at the same time'
            cand --jobs 'How many threads work at the same time'
            cand --progress 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --quick 'Read no payload: names, sizes, headers at the ends of logs, indexes, checkpoints'
            cand --deep 'Decompress and decode every record too'
            cand --strict 'Let warnings set exit status 4 too'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;rebuild-index'= {
            cand --only 'Only these kinds of index'
            cand --index-interval-bytes '`index.interval.bytes` of the topic: how many bytes of log there are at least between two entries'
            cand --segment-index-bytes '`segment.index.bytes` of the topic: how large an index may become'
            cand --expect 'Do it only if the plan has this digest (repeatable)'
            cand --undo-dir 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition'
            cand -j 'How many threads work at the same time'
            cand --jobs 'How many threads work at the same time'
            cand --progress 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --all 'Make all indexes again, not only those that are wrong or missing'
            cand --apply 'Do it: without, the plan is printed and nothing is touched'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;truncate-to-hw'= {
            cand --to 'Where to cut: hw, intact-end or an offset'
            cand --offsets 'Cut each partition at its own offset, by lines `TOPIC-PARTITION OFFSET`'
            cand --replica 'Cut where this copy ends or has other records (repeatable)'
            cand --expect 'Do it only if the plan has this digest (repeatable)'
            cand --undo-dir 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition'
            cand -j 'How many threads work at the same time'
            cand --jobs 'How many threads work at the same time'
            cand --progress 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON'
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --all-partitions 'All partitions of a log dir'
            cand --allow-data-loss 'Do it although bytes of logs are lost, but for the undo data'
            cand --apply 'Do it: without, the plan is printed and nothing is touched'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;undo'= {
            cand -t 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --topic-partition 'Only partitions of a log dir that match: `orders-*` (repeatable)'
            cand --segment 'Only the segment that begins at this offset'
            cand -f 'How it is shown'
            cand --format 'How it is shown'
            cand --tz 'Zone of times in text: UTC, local, or a name like Europe/Vienna'
            cand --io 'How files are read: by positional reads (pread, also what auto takes) or through a memory map'
            cand --color 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too'
            cand --apply 'Do it: without, what would be done is printed and nothing is touched'
            cand --list 'List all undo data and change nothing'
            cand --discard 'Remove undo data of changes that are to stay; they cannot be taken back then'
            cand --allow-data-loss 'With --discard: also where the undo data may be the only copy of what it keeps, because the change was interrupted or its plan cannot be read'
            cand -v 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand --verbose 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
            cand -q 'No remarks on standard error, errors only'
            cand --quiet 'No remarks on standard error, errors only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'kfsck;completions'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'kfsck;man'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'kfsck;help'= {
            cand ls 'List partitions, or the segments of one: sizes, offsets, times'
            cand dump-log 'Show what is in Kafka''s files: batches, records, entries'
            cand lookup 'Find a message by offset, by timestamp or by key'
            cand verify-index 'Are these indexes right?'
            cand check 'Is this partition, or this log dir, sound?'
            cand rebuild-index 'Make indexes again from the log, as Kafka''s recovery does'
            cand truncate-to-hw 'Cut partitions back: an unreadable end, or to an offset'
            cand undo 'Take back what a change has done, also an interrupted one'
            cand completions 'Print the completions of a shell'
            cand man 'Print a man page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'kfsck;help;ls'= {
        }
        &'kfsck;help;dump-log'= {
        }
        &'kfsck;help;lookup'= {
        }
        &'kfsck;help;verify-index'= {
        }
        &'kfsck;help;check'= {
        }
        &'kfsck;help;rebuild-index'= {
        }
        &'kfsck;help;truncate-to-hw'= {
        }
        &'kfsck;help;undo'= {
        }
        &'kfsck;help;completions'= {
        }
        &'kfsck;help;man'= {
        }
        &'kfsck;help;help'= {
        }
    ]
    $completions[$command]
}
