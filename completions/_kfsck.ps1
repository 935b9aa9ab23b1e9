
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'kfsck' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'kfsck'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'kfsck' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('ls', 'ls', [CompletionResultType]::ParameterValue, 'List partitions, or the segments of one: sizes, offsets, times')
            [CompletionResult]::new('dump-log', 'dump-log', [CompletionResultType]::ParameterValue, 'Show what is in Kafka''s files: batches, records, entries')
            [CompletionResult]::new('lookup', 'lookup', [CompletionResultType]::ParameterValue, 'Find a message by offset, by timestamp or by key')
            [CompletionResult]::new('verify-index', 'verify-index', [CompletionResultType]::ParameterValue, 'Are these indexes right?')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Is this partition, or this log dir, sound?')
            [CompletionResult]::new('rebuild-index', 'rebuild-index', [CompletionResultType]::ParameterValue, 'Make indexes again from the log, as Kafka''s recovery does')
            [CompletionResult]::new('truncate-to-hw', 'truncate-to-hw', [CompletionResultType]::ParameterValue, 'Cut partitions back: an unreadable end, or to an offset')
            [CompletionResult]::new('undo', 'undo', [CompletionResultType]::ParameterValue, 'Take back what a change has done, also an interrupted one')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completions of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a man page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'kfsck;ls' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;dump-log' {
            [CompletionResult]::new('--from-offset', '--from-offset', [CompletionResultType]::ParameterName, 'Only offsets from here on')
            [CompletionResult]::new('--to-offset', '--to-offset', [CompletionResultType]::ParameterName, 'Only offsets below this one')
            [CompletionResult]::new('--from-time', '--from-time', [CompletionResultType]::ParameterName, 'Only timestamps from here on: RFC 3339, a date, back from now (-2h)')
            [CompletionResult]::new('--to-time', '--to-time', [CompletionResultType]::ParameterName, 'Only timestamps before this one')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'At most so many records with --records, else batches')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'At most so many records with --records, else batches')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Only records with this key (repeatable: any of them)')
            [CompletionResult]::new('--key-prefix', '--key-prefix', [CompletionResultType]::ParameterName, 'Only records whose key begins so')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'Only records with this header: KEY or KEY=VALUE (repeatable: all of them)')
            [CompletionResult]::new('--producer-id', '--producer-id', [CompletionResultType]::ParameterName, 'Only batches of this producer (repeatable)')
            [CompletionResult]::new('--leader-epoch', '--leader-epoch', [CompletionResultType]::ParameterName, 'Only batches of this partition leader epoch (repeatable)')
            [CompletionResult]::new('--isolation', '--isolation', [CompletionResultType]::ParameterName, 'What transactions may show')
            [CompletionResult]::new('--key-format', '--key-format', [CompletionResultType]::ParameterName, 'How keys are shown')
            [CompletionResult]::new('--value-format', '--value-format', [CompletionResultType]::ParameterName, 'How values are shown')
            [CompletionResult]::new('--max-value-bytes', '--max-value-bytes', [CompletionResultType]::ParameterName, 'How much of a key, value or header text shows; the rest is counted. JSON always has everything')
            [CompletionResult]::new('--max-batch-bytes', '--max-batch-bytes', [CompletionResultType]::ParameterName, 'The largest batch that is taken into memory and the most that it may decompress to')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Print the records too, not only their batches')
            [CompletionResult]::new('--records', '--records', [CompletionResultType]::ParameterName, 'Print the records too, not only their batches')
            [CompletionResult]::new('--stop-at-damage', '--stop-at-damage', [CompletionResultType]::ParameterName, 'End each file at its first damage instead of going on at the next intact batch')
            [CompletionResult]::new('--control', '--control', [CompletionResultType]::ParameterName, 'Only control batches: transaction markers, KRaft control records')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;lookup' {
            [CompletionResult]::new('--offset', '--offset', [CompletionResultType]::ParameterName, 'Where this offset is (repeatable)')
            [CompletionResult]::new('--timestamp', '--timestamp', [CompletionResultType]::ParameterName, 'The first record at or after this time, or a name like latest (repeatable)')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'The newest record with this key (repeatable)')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'How to find it')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Print so many records from the place that was found on')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Print so many records from the place that was found on')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'With --key: every record with the key, not only the newest')
            [CompletionResult]::new('--explain', '--explain', [CompletionResultType]::ParameterName, 'Show each step: segments considered, index entries, batches read')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;verify-index' {
            [CompletionResult]::new('--show', '--show', [CompletionResultType]::ParameterName, 'The least severity that is shown; all are counted')
            [CompletionResult]::new('--max-batch-bytes', '--max-batch-bytes', [CompletionResultType]::ParameterName, 'With --deep: the most that a batch may decompress to')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--deep', '--deep', [CompletionResultType]::ParameterName, 'Decompress and decode every record too')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Let warnings set exit status 4 too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;check' {
            [CompletionResult]::new('--show', '--show', [CompletionResultType]::ParameterName, 'The least severity that is shown; all are counted')
            [CompletionResult]::new('--max-batch-bytes', '--max-batch-bytes', [CompletionResultType]::ParameterName, 'With --deep: the most that a batch may decompress to')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Read no payload: names, sizes, headers at the ends of logs, indexes, checkpoints')
            [CompletionResult]::new('--deep', '--deep', [CompletionResultType]::ParameterName, 'Decompress and decode every record too')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Let warnings set exit status 4 too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;rebuild-index' {
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Only these kinds of index')
            [CompletionResult]::new('--index-interval-bytes', '--index-interval-bytes', [CompletionResultType]::ParameterName, '`index.interval.bytes` of the topic: how many bytes of log there are at least between two entries')
            [CompletionResult]::new('--segment-index-bytes', '--segment-index-bytes', [CompletionResultType]::ParameterName, '`segment.index.bytes` of the topic: how large an index may become')
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'Do it only if the plan has this digest (repeatable)')
            [CompletionResult]::new('--undo-dir', '--undo-dir', [CompletionResultType]::ParameterName, 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Make all indexes again, not only those that are wrong or missing')
            [CompletionResult]::new('--apply', '--apply', [CompletionResultType]::ParameterName, 'Do it: without, the plan is printed and nothing is touched')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;truncate-to-hw' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Where to cut: hw, intact-end or an offset')
            [CompletionResult]::new('--offsets', '--offsets', [CompletionResultType]::ParameterName, 'Cut each partition at its own offset, by lines `TOPIC-PARTITION OFFSET`')
            [CompletionResult]::new('--replica', '--replica', [CompletionResultType]::ParameterName, 'Cut where this copy ends or has other records (repeatable)')
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'Do it only if the plan has this digest (repeatable)')
            [CompletionResult]::new('--undo-dir', '--undo-dir', [CompletionResultType]::ParameterName, 'Keep what is cut off logs in a directory made in DIR, for want of space in the partition')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'How many threads work at the same time')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When a bar shows how far it is: auto is on a terminal, but for -q; it is never shown with JSON')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--all-partitions', '--all-partitions', [CompletionResultType]::ParameterName, 'All partitions of a log dir')
            [CompletionResult]::new('--allow-data-loss', '--allow-data-loss', [CompletionResultType]::ParameterName, 'Do it although bytes of logs are lost, but for the undo data')
            [CompletionResult]::new('--apply', '--apply', [CompletionResultType]::ParameterName, 'Do it: without, the plan is printed and nothing is touched')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;undo' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--topic-partition', '--topic-partition', [CompletionResultType]::ParameterName, 'Only partitions of a log dir that match: `orders-*` (repeatable)')
            [CompletionResult]::new('--segment', '--segment', [CompletionResultType]::ParameterName, 'Only the segment that begins at this offset')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How it is shown')
            [CompletionResult]::new('--tz', '--tz', [CompletionResultType]::ParameterName, 'Zone of times in text: UTC, local, or a name like Europe/Vienna')
            [CompletionResult]::new('--io', '--io', [CompletionResultType]::ParameterName, 'How files are read: by positional reads (pread, also what auto takes) or through a memory map')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too')
            [CompletionResult]::new('--apply', '--apply', [CompletionResultType]::ParameterName, 'Do it: without, what would be done is printed and nothing is touched')
            [CompletionResult]::new('--list', '--list', [CompletionResultType]::ParameterName, 'List all undo data and change nothing')
            [CompletionResult]::new('--discard', '--discard', [CompletionResultType]::ParameterName, 'Remove undo data of changes that are to stay; they cannot be taken back then')
            [CompletionResult]::new('--allow-data-loss', '--allow-data-loss', [CompletionResultType]::ParameterName, 'With --discard: also where the undo data may be the only copy of what it keeps, because the change was interrupted or its plan cannot be read')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'More is told where there is more: check and verify-index show what is only worth knowing, as with --show info')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'No remarks on standard error, errors only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'kfsck;completions' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'kfsck;man' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'kfsck;help' {
            [CompletionResult]::new('ls', 'ls', [CompletionResultType]::ParameterValue, 'List partitions, or the segments of one: sizes, offsets, times')
            [CompletionResult]::new('dump-log', 'dump-log', [CompletionResultType]::ParameterValue, 'Show what is in Kafka''s files: batches, records, entries')
            [CompletionResult]::new('lookup', 'lookup', [CompletionResultType]::ParameterValue, 'Find a message by offset, by timestamp or by key')
            [CompletionResult]::new('verify-index', 'verify-index', [CompletionResultType]::ParameterValue, 'Are these indexes right?')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Is this partition, or this log dir, sound?')
            [CompletionResult]::new('rebuild-index', 'rebuild-index', [CompletionResultType]::ParameterValue, 'Make indexes again from the log, as Kafka''s recovery does')
            [CompletionResult]::new('truncate-to-hw', 'truncate-to-hw', [CompletionResultType]::ParameterValue, 'Cut partitions back: an unreadable end, or to an offset')
            [CompletionResult]::new('undo', 'undo', [CompletionResultType]::ParameterValue, 'Take back what a change has done, also an interrupted one')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completions of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print a man page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'kfsck;help;ls' {
            break
        }
        'kfsck;help;dump-log' {
            break
        }
        'kfsck;help;lookup' {
            break
        }
        'kfsck;help;verify-index' {
            break
        }
        'kfsck;help;check' {
            break
        }
        'kfsck;help;rebuild-index' {
            break
        }
        'kfsck;help;truncate-to-hw' {
            break
        }
        'kfsck;help;undo' {
            break
        }
        'kfsck;help;completions' {
            break
        }
        'kfsck;help;man' {
            break
        }
        'kfsck;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
