#!/bin/sh
# Compress pieces of data: of PI_SPEEDUP_COUNT parts the one with the number PI_SPEEDUP_INDEX.
# What is compressed lies in $TMPDIR/data. benchmark_prepare makes it, which is not timed.
set -eu
piece=$PI_SPEEDUP_INDEX
while [ "$piece" -lt "${PIECES:-24}" ]; do
  # Each piece begins with its number, so no two results are the same. -n: no time of day in the result.
  checksum=$({ echo "$piece"; cat "$TMPDIR/data"; } | gzip -n -9 | cksum)
  echo "piece $piece: $checksum"
  piece=$((piece + PI_SPEEDUP_COUNT))
done
