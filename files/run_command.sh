# Run a command of the user's and report the measurement, once, whatever the program is.
#
# src/pi_speedup/workload/command.py writes above it what the trial decides, as assignments, and a pod or container
# runs both with `sh`: dash, bash or busybox. It needs no file but a folder in /tmp, and of programs cat, chmod, cut,
# date, head, mkdir, mktemp, rm, sed, sha256sum, sleep, tail, tr, uname and wc; grep and nproc tell it more.
# On success it prints the end of what the command wrote, each line behind "| ", and two lines:
#
#     {"schema_version":1,...}                  the measurement, at most 4 KiB
#     PI-WORKER-END sha256=...                  checksum of the line above
#
# On failure its last line says why. Exit codes: 0 measured, 1 the command or one beside it failed, 2 something that
# this needs is missing, 124 over its deadline, 143 on SIGTERM.

end_mark=PI-WORKER-END
# Of what the command writes to standard output; beyond it the pipe is closed.
most_output_bytes=8388608
most_shown_bytes=8192
# So long may what the command started be on its way out when the command itself has ended.
grace_tenths=10
# To look at a clock takes a few milliseconds.
quick_hundredths=2

say() { printf '%s\n' "$*"; }

# End with the one line that is read first.
fail() {
  code=$1
  shift
  say "pi-speedup: $*"
  exit "$code"
}

# Put the time since the start into $up, in hundredths of a second.
look_at_uptime() {
  read -r up _ </proc/uptime
  up=${up%.*}${up#*.}
}

# Put the time of day into $now (ns), and into $took how many hundredths of a second it took to be told.
look_at_clocks() {
  look_at_uptime
  took=$up
  case $clock in
    date) now=$(date +%s%N) ;;
    adjtimex)
      now=$(adjtimex)
      second=${now##*time.tv_sec:} part=${now##*time.tv_usec:}
      second=${second#"${second%%[0-9]*}"} part=${part#"${part%%[0-9]*}"}
      second=${second%%[!0-9]*} part=${part%%[!0-9]*}
      # Where NTP runs they may be nanoseconds.
      [ "$part" -gt 999999 ] || part=$((part * 1000))
      now=$((second * 1000000000 + part))
      ;;
    *) now=$(date +%s)000000000 ;;
  esac
  look_at_uptime
  took=$((up - took))
}

# GNU's date knows nanoseconds; busybox' has adjtimex beside it, which knows microseconds.
which_clock() {
  case $(date +%s%N 2>/dev/null) in
    *[!0-9]* | '') ;;
    ??????????????????*)
      clock='date'
      return
      ;;
  esac
  clock=uptime
  case $(adjtimex 2>/dev/null) in
    *time.tv_usec:*) clock=adjtimex ;;
  esac
}

# Put the CPU time of this shell's children that have ended into $cpu, in hundredths of a second.
look_at_cpu() {
  read -r stat </proc/self/stat
  # The second field is the program's name, in brackets, whatever it holds.
  set -- ${stat##*)}
  cpu=$((${14} + ${15}))
}

# Print the number behind a word in a file, or null.
number_in() {
  while read -r word number _; do
    [ "$word" = "$1" ] && say "$number" && return
  done 2>/dev/null <"$2"
  say null
}

# Print a thousandth of the number in a file, to a tenth, or null.
thousandth_in() {
  number=''
  read -r number 2>/dev/null <"$1"
  case $number in
    '' | *[!0-9]*) say null ;;
    *) say "$((number / 1000)).$((number % 1000 / 100))" ;;
  esac
}

# For how long the container's CPU limit stopped it, in microseconds.
throttled_us() { number_in throttled_usec /sys/fs/cgroup/cpu.stat; }

look_at_pi() {
  celsius=$(thousandth_in /sys/class/thermal/thermal_zone0/temp)
  megahertz=$(thousandth_in /sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq)
}

# Run $1 as the user's command is run: with its environment, and nothing to read.
as_command() {
  (
    export PI_SPEEDUP_INDEX=$index PI_SPEEDUP_COUNT=$parts PI_SPEEDUP_SEED=$seed PI_SPEEDUP_NONCE=$nonce
    export HOME="$work/home" TMPDIR="$work/home"
    [ -z "$program" ] || export PI_SPEEDUP_PROGRAM="$work/program"
    eval "$environment"
    [ "$in_container" = yes ] || cd "$HOME" || exit 1
    exec sh -c "$1"
  )
}

# Print the ids of processes that the command started and that are still there. Of another user's, and without grep,
# nothing is known.
left_behind() {
  for path in $(grep -lsF "PI_SPEEDUP_NONCE=$nonce" /proc/[0-9]*/environ 2>/dev/null); do
    path=${path#/proc/}
    say "${path%/environ}"
  done
}

# End what the command left behind, and say so in a file.
end_left_behind() {
  tenth=0
  left=$(left_behind)
  while [ -n "$left" ] && [ $tenth -lt $grace_tenths ]; do
    sleep 0.1 2>/dev/null || sleep 1
    tenth=$((tenth + 1))
    left=$(left_behind)
  done
  [ -n "$left" ] || return 0
  read -r name 2>/dev/null <"/proc/${left%%
*}/comm"
  say "${name:-a process}" >"$into/left"
  kill -9 $left 2>/dev/null
}

# Put into variables which part process $1 does, and a name that nobody else's has, nor begins with: not 1 and 10.
name_process() {
  index=0 nonce=$run_id/$trial/$node/${work##*.}/$1/
  [ "$divided" = no ] || index=$((first + $1))
}

# Measure one process: $1 is its number on this Pi. Leaves files in $work/$1.
measure() {
  into=$work/$1
  name_process "$1"
  {
    {
      # On a busy Pi a look may take long, and then nobody knows when in it the clock was read.
      for _ in 1 2 3 4 5; do
        look_at_clocks
        [ "$took" -gt $quick_hundredths ] || break
      done
      look_at_cpu
      begun=$now begun_up=$up cpu_before=$cpu
      times_run=0 rc=0
      while [ $times_run -lt "$runs" ] && [ $rc -eq 0 ]; do
        as_command "$command" </dev/null 2>&4 4>&-
        rc=$?
        times_run=$((times_run + 1))
      done
      look_at_uptime
      ended_up=$up
      look_at_clocks
      [ "$took" -le $quick_hundredths ] || [ "$clock" = uptime ] || now=$((begun + (ended_up - begun_up) * 10000000))
      look_at_cpu
      say "$rc $times_run $begun $now $((ended_up - begun_up)) $((cpu - cpu_before))" >"$into/times"
      end_left_behind
    } | head -c $((most_output_bytes + 1)) >"$into/out"
  } 4>&1 | tail -c "$most_shown_bytes" >"$into/err"
}

# Print a file's last line that says something, at most 200 characters of it. Of a line that is written over and over
# the last state; no control character, for one may end a line where it is read.
last_line() {
  tail -c 2048 "$1" 2>/dev/null | tr '\r' '\n' | tr -d '\000-\010\013-\037\177' | sed '/^[[:space:]]*$/d' | tail -n 1 | cut -c1-200
}

# Put the last words of a command that failed, on $1 or else on $2, into $said.
look_at_last_words() {
  said=$(last_line "$1")
  [ -n "$said" ] || said=$(last_line "$2")
}

# Print the end of what a file holds, each line behind a mark: a result is none of them.
show() {
  [ -s "$1" ] || return 0
  tail -c $((most_shown_bytes / processes)) "$1" 2>/dev/null | sed 's/^/| /'
  [ -z "$(tail -c 1 "$1" | tr -d '\000')" ] || say
}

# Stop unless the measured command $1 is done, with the exit code as words.
check_done() {
  into=$work/$1
  rc='' times_run=''
  read -r rc times_run _ 2>/dev/null <"$into/times"
  written=$(wc -c <"$into/out")
  written=$((written))
  say $written >"$into/size"
  if [ $written -gt $most_output_bytes ]; then
    fail 1 "the command wrote more than $((most_output_bytes / 1048576)) MiB to standard output"
  fi
  if ! : >"$work/room" || ! say room >"$work/room"; then
    fail 1 "/tmp is full"
  fi 2>/dev/null
  [ "$rc" = 0 ] || look_at_last_words "$into/err" "$into/out"
  [ -n "$rc" ] || fail 1 "the command was not measured${said:+: $said}"
  if [ "$rc" -ne 0 ]; then
    show "$into/out"
    show "$into/err"
    often=''
    [ "$runs" -eq 1 ] || often=" in its run number $times_run"
    case $rc in
      126) why="cannot be run (exit code 126)" ;;
      127) why="was not found (exit code 127)" ;;
      137)
        why="was killed (exit code 137), perhaps for want of memory"
        # A shell's word for the same.
        [ "$said" != Killed ] || said=''
        ;;
      *) why="ended with exit code $rc" ;;
    esac
    fail 1 "the command $why$often${said:+: $said}"
  fi
  if [ -s "$into/left" ]; then
    read -r name <"$into/left"
    fail 1 "the command ended and left $name running, which would be measured with the next trial"
  fi
}

# Give the output of process $1 to a command of the user's that is not timed; $2 names it, $3 is the command.
afterwards() {
  name_process "$1"
  # In the background: while it waits for one, a shell answers no signal.
  as_command "$3" <"$work/$1/out" >"$work/$1/$2" 2>"$work/$1/err" &
  wait $! && return
  rc=$?
  look_at_last_words "$work/$1/err" "$work/$1/$2"
  show "$work/$1/out"
  fail 1 "benchmark_$2 ended with exit code $rc${said:+: $said}"
}

# Print the account of process $1 as JSON.
account() {
  into=$work/$1
  read -r _ _ begun now hundredths cpu <"$into/times"
  by_day=$((now - begun)) by_up=$((hundredths * 10000000))
  apart=$((by_day - by_up))
  [ $apart -ge 0 ] || apart=$((-apart))
  # What two clocks read one after the other, and NTP's slewing, may differ by. The time of day may be set: then, and
  # where it is of whole seconds, hundredths are what is left.
  if [ "$clock" = uptime ] || [ $apart -gt $((100000000 + by_up / 1000)) ]; then
    by_day=$by_up
  fi
  [ $by_day -gt 0 ] || by_day=1000000
  [ $now -gt "$begun" ] || now=$((begun + by_day))
  read -r size <"$into/size"
  digest=$(sha256sum <"$into/$hashed")
  printf '{"start_epoch_ns":%s,"end_epoch_ns":%s,"duration_seconds":%s,"cpu_seconds":%s,"output_bytes":%s,"output_sha256":"%.32s"}' \
    "$begun" "$now" "$(decimal $by_day 1000000000)" "$(decimal "$cpu" 100)" \
    "$size" "$digest"
}

# Print a whole number over a power of ten as a decimal.
decimal() {
  rest=$(($1 % $2 + $2))
  say "$(($1 / $2)).${rest#1}"
}

or_null() {
  case $1 in
    '' | *[!0-9]*) say null ;;
    *) say "$1" ;;
  esac
}

# Call a function for each process of this Pi.
each() {
  number=0
  while [ $number -lt "$processes" ]; do
    "$1" $number
    number=$((number + 1))
  done
}

# Put the ids of all that descends from this shell into $descendants.
look_at_descendants() {
  # Each process and its parent: by sed, for a shell reads such a file in as many steps as it has letters.
  pairs=$(sed -n 's/^\([0-9]*\) (.*) [A-Za-z] \([0-9]*\) .*/\1 \2/p' /proc/[0-9]*/stat)
  descendants=" "
  more=yes
  while [ -n "$more" ]; do
    more=''
    set -- $pairs
    while [ $# -gt 1 ]; do
      case "$descendants$$ " in
        *" $1 "*) ;;
        *" $2 "*) descendants="$descendants$1 " more=yes ;;
      esac
      shift 2
    done
  done
}

clean_up() {
  # The line that says why is the last one: shells tell of what they kill.
  exec 2>/dev/null
  look_at_descendants
  kill -9 $descendants
  # What has lost its parent has its name, whatever number.
  nonce=$run_id/$trial/$node/${work##*.}/
  kill -9 $(left_behind)
  rm -rf "$work"
}

main() {
  for needed in cut date head mktemp sed sha256sum tail wc; do
    command -v $needed >/dev/null 2>&1 || fail 2 "the image has a shell, but no $needed"
  done
  node=${pi:-$NODE_NAME} completion_index=${completion_index:-$JOB_COMPLETION_INDEX}
  first=$(first_part_of "$node")
  [ -n "$first" ] || fail 2 "this trial has no part for $node"
  work=$(mktemp -d "${TMPDIR:-/tmp}/pi-speedup.XXXXXX" 2>/dev/null) || fail 2 "no folder can be made in /tmp"
  trap clean_up EXIT
  trap 'say "pi-speedup: not finished after $deadline_seconds s, so it ended itself"; exit 124' USR1
  trap 'exit 143' TERM INT HUP
  (
    trap - EXIT USR1
    sleep "$deadline_seconds"
    kill -USR1 $$
  ) >/dev/null 2>&1 &
  mkdir "$work/home"
  if [ -n "$program" ]; then
    printf %s "$program" >"$work/program" || fail 1 "/tmp is full"
    chmod 700 "$work/program"
  fi
  each make_folder
  which_clock
  name_process 0
  if [ -n "$prepare" ]; then
    as_command "$prepare" </dev/null >"$work/0/err" 2>&1 &
    wait $! || {
      rc=$?
      said=$(last_line "$work/0/err")
      show "$work/0/err"
      fail 1 "benchmark_prepare ended with exit code $rc${said:+: $said}"
    }
  fi
  throttled_before=$(throttled_us)
  look_at_pi
  celsius_before=$celsius megahertz_before=$megahertz
  waited=''
  number=0
  while [ $number -lt "$processes" ]; do
    measure $number &
    waited="$waited $!"
    number=$((number + 1))
  done
  # A signal ends the wait, and its trap the program.
  for each in $waited; do wait "$each"; done
  look_at_pi
  throttled_after=$(throttled_us)
  each check_done
  hashed=out
  if [ -n "$output_filter" ]; then
    each filter_output
    hashed=output_filter
  fi
  [ -z "$verify" ] || each verify_output
  throttled=null
  case $throttled_before$throttled_after in
    *[!0-9]* | '') ;;
    *) throttled=$(decimal $((throttled_after - throttled_before)) 1000000) ;;
  esac
  peak=null
  read -r peak 2>/dev/null </sys/fs/cgroup/memory.peak
  verified=false
  [ -z "$verify" ] || verified=true
  accounts=$(
    comma=''
    number=0
    while [ $number -lt "$processes" ]; do
      printf %s "$comma"
      account $number
      comma=,
      number=$((number + 1))
    done
  )
  line="{\"schema_version\":1,\"run_id\":\"$run_id\",\"trial\":\"$trial\",\"completion_index\":$(or_null "$completion_index"),\"node\":\"$node\""
  line="$line,\"machine\":\"$(uname -m)\",\"usable_cores\":$(or_null "$(nproc 2>/dev/null)"),\"clock\":\"$clock\""
  line="$line,\"celsius\":[$celsius_before,$celsius],\"megahertz\":[$megahertz_before,$megahertz]"
  line="$line,\"first_part\":$first,\"parts\":$parts,\"runs\":$runs,\"peak_memory_bytes\":$(or_null "$peak")"
  line="$line,\"throttled_seconds\":$throttled,\"verified\":$verified,\"processes\":[$accounts]}"
  each show_output
  say "$line"
  digest=$(printf %s "$line" | sha256sum)
  say "$end_mark sha256=${digest%% *}"
  [ -z "$termination_log" ] || printf %s "$line" >"$termination_log" || fail 1 "cannot write $termination_log"
}

make_folder() { mkdir "$work/$1"; }
filter_output() { afterwards "$1" output_filter "$output_filter"; }
verify_output() { afterwards "$1" verify "$verify"; }
show_output() { show "$work/$1/out"; }

main
