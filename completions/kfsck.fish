# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kfsck_global_optspecs
    string join \n h/help V/version
end

function __fish_kfsck_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kfsck_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kfsck_using_subcommand
    set -l cmd (__fish_kfsck_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kfsck -n "__fish_kfsck_needs_command" -s h -l help -d 'Print help'
complete -c kfsck -n "__fish_kfsck_needs_command" -s V -l version -d 'Print version'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "ls" -d 'List partitions, or the segments of one: sizes, offsets, times'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "dump-log" -d 'Show what is in Kafka\'s files: batches, records, entries'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "lookup" -d 'Find a message by offset, by timestamp or by key'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "verify-index" -d 'Are these indexes right?'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "check" -d 'Is this partition, or this log dir, sound?'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "rebuild-index" -d 'Make indexes again from the log, as Kafka\'s recovery does'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "truncate-to-hw" -d 'Cut partitions back: an unreadable end, or to an offset'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "undo" -d 'Take back what a change has done, also an interrupted one'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "man" -d 'Print a man page'
complete -c kfsck -n "__fish_kfsck_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l from-offset -d 'Only offsets from here on' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l to-offset -d 'Only offsets below this one' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l from-time -d 'Only timestamps from here on: RFC 3339, a date, back from now (-2h)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l to-time -d 'Only timestamps before this one' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s n -l limit -d 'At most so many records with --records, else batches' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l key -d 'Only records with this key (repeatable: any of them)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l key-prefix -d 'Only records whose key begins so' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l header -d 'Only records with this header: KEY or KEY=VALUE (repeatable: all of them)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l producer-id -d 'Only batches of this producer (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l leader-epoch -d 'Only batches of this partition leader epoch (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l isolation -d 'What transactions may show' -r -f -a "read-committed\t'Only what is committed'
read-uncommitted\t'Everything'"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l key-format -d 'How keys are shown' -r -f -a "auto\t'Text where it is printable UTF-8, else hexadecimal; in JSON {"text":…} or {"base64":…}'
text\t'Text, with escapes for what is none'
json\t'JSON as it stands'
hex\t'Hexadecimal'
base64\t'Base64'
int\t'A big-endian 32-bit integer'
long\t'A big-endian 64-bit integer'
none\t'Not at all'"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l value-format -d 'How values are shown' -r -f -a "auto\t'Text where it is printable UTF-8, else hexadecimal; in JSON {"text":…} or {"base64":…}'
text\t'Text, with escapes for what is none'
json\t'JSON as it stands'
hex\t'Hexadecimal'
base64\t'Base64'
int\t'A big-endian 32-bit integer'
long\t'A big-endian 64-bit integer'
none\t'Not at all'"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l max-value-bytes -d 'How much of a key, value or header text shows; the rest is counted. JSON always has everything' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l max-batch-bytes -d 'The largest batch that is taken into memory and the most that it may decompress to' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s j -l jobs -d 'How many threads work at the same time' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s r -l records -d 'Print the records too, not only their batches'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l stop-at-damage -d 'End each file at its first damage instead of going on at the next intact batch'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -l control -d 'Only control batches: transaction markers, KRaft control records'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand dump-log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l offset -d 'Where this offset is (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l timestamp -d 'The first record at or after this time, or a name like latest (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l key -d 'The newest record with this key (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l method -d 'How to find it' -r -f -a "auto\t'The true answer, by index where the log confirms what it says. For a timestamp all batches before the answer are read and checksummed, since no index can be proven right with less'
broker\t'What a broker (4.4) answers after an orderly start: wrong indexes, modification times and all'
scan\t'The true answer without any index: every batch is read and checksummed'
both\t'Broker against scan; a difference is a finding, and the exit status 4'"
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s n -l limit -d 'Print so many records from the place that was found on' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l all -d 'With --key: every record with the key, not only the newest'
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -l explain -d 'Show each step: segments considered, index entries, batches read'
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand lookup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l show -d 'The least severity that is shown; all are counted' -r -f -a "error\t''
warning\t''
info\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l max-batch-bytes -d 'With --deep: the most that a batch may decompress to' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s j -l jobs -d 'How many threads work at the same time' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l progress -d 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l deep -d 'Decompress and decode every record too'
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -l strict -d 'Let warnings set exit status 4 too'
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand verify-index" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l show -d 'The least severity that is shown; all are counted' -r -f -a "error\t''
warning\t''
info\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l max-batch-bytes -d 'With --deep: the most that a batch may decompress to' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s j -l jobs -d 'How many threads work at the same time' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l progress -d 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l quick -d 'Read no payload: names, sizes, headers at the ends of logs, indexes, checkpoints'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l deep -d 'Decompress and decode every record too'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -l strict -d 'Let warnings set exit status 4 too'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l only -d 'Only these kinds of index' -r -f -a "index\t''
timeindex\t''
txnindex\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l index-interval-bytes -d '`index.interval.bytes` of the topic: how many bytes of log there are at least between two entries' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l segment-index-bytes -d '`segment.index.bytes` of the topic: how large an index may become' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l expect -d 'Do it only if the plan has this digest (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l undo-dir -d 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition' -r -F
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s j -l jobs -d 'How many threads work at the same time' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l progress -d 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l all -d 'Make all indexes again, not only those that are wrong or missing'
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -l apply -d 'Do it: without, the plan is printed and nothing is touched'
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand rebuild-index" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l to -d 'Where to cut: hw, intact-end or an offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l offsets -d 'Cut each partition at its own offset, by lines `TOPIC-PARTITION OFFSET`' -r -F
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l replica -d 'Cut where this copy ends or has other records (repeatable)' -r -F
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l expect -d 'Do it only if the plan has this digest (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l undo-dir -d 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition' -r -F
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s j -l jobs -d 'How many threads work at the same time' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l progress -d 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l all-partitions -d 'All partitions of a log dir'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l allow-data-loss -d 'Do it although bytes of logs are lost, but for the undo data'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -l apply -d 'Do it: without, the plan is printed and nothing is touched'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand truncate-to-hw" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -s t -l topic-partition -d 'Only partitions of a log dir that match: `orders-*` (repeatable)' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l segment -d 'Only the segment that begins at this offset' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -s f -l format -d 'How it is shown' -r -f -a "text\t''
table\t''
json\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l tz -d 'Zone of times in text: UTC, local, or a name like Europe/Vienna' -r
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l io -d 'How files are read: by positional reads (pread, also what auto takes) or through a memory map' -r -f -a "auto\t''
mmap\t''
pread\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l color -d 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l apply -d 'Do it: without, what would be done is printed and nothing is touched'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l list -d 'List all undo data and change nothing'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l discard -d 'Remove undo data of changes that are to stay; they cannot be taken back then'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -l allow-data-loss -d 'With --discard: also where the undo data may be the only copy of what it keeps, because the change was interrupted or its plan cannot be read'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -s v -l verbose -d 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -s q -l quiet -d 'No remarks on standard error, errors only'
complete -c kfsck -n "__fish_kfsck_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kfsck -n "__fish_kfsck_using_subcommand completions" -s h -l help -d 'Print help'
complete -c kfsck -n "__fish_kfsck_using_subcommand man" -s h -l help -d 'Print help'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "ls" -d 'List partitions, or the segments of one: sizes, offsets, times'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "dump-log" -d 'Show what is in Kafka\'s files: batches, records, entries'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "lookup" -d 'Find a message by offset, by timestamp or by key'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "verify-index" -d 'Are these indexes right?'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "check" -d 'Is this partition, or this log dir, sound?'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "rebuild-index" -d 'Make indexes again from the log, as Kafka\'s recovery does'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "truncate-to-hw" -d 'Cut partitions back: an unreadable end, or to an offset'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "undo" -d 'Take back what a change has done, also an interrupted one'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "completions" -d 'Print the completions of a shell'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "man" -d 'Print a man page'
complete -c kfsck -n "__fish_kfsck_using_subcommand help; and not __fish_seen_subcommand_from ls dump-log lookup verify-index check rebuild-index truncate-to-hw undo completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
