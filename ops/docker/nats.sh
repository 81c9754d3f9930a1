#!/bin/sh
# Runs nats-server with the arguments given, its store in /data, and ends it when a write failed for want of room and there is room
# again: until it is started again it stores nothing any more (2.15), also on an empty disk. Docker starts the container again
# (`restart: unless-stopped`). Nothing is lost by that: what was not stored was never confirmed.
set -u
data=${NATS_DATA:-/data}
look_every_s=${NATS_LOOK_EVERY_S:-5}
# With less the next write fails again.
room_mb_min=64
dir=$(mktemp -d)
mkfifo "$dir/lines"

# Its log passes through here, line by line, since only there it says which write failed.
while IFS= read -r line; do
  printf '%s\n' "$line" >&2
  case $line in
    *'no space left on device'* | *'disk quota exceeded'*) : >"$dir/stuck" ;;
  esac
done <"$dir/lines" &
reader=$!
nats-server "$@" 2>"$dir/lines" &
server=$!
trap 'kill -TERM "$server" 2>/dev/null' TERM INT

while sleep "$look_every_s"; do
  [ -e "$dir/stuck" ] || continue
  # The fourth field of df's second line is what is free, in MB.
  set -- $(df -Pm "$data" | tail -n 1)
  [ "$4" -ge "$room_mb_min" ] || continue
  echo "nats-server stopped storing when the disk was full, and $4 MB are free again: it is started again" >&2
  kill -TERM "$server"
  break
done &
watch=$!

# A signal ends the waiting, not the server.
wait "$server"
code=$?
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
  code=$?
done
kill "$watch" 2>/dev/null
wait "$reader"
rm -r "$dir"
exit "$code"
