#!/bin/sh
# Starts clamd in its container. With no way to ClamAV's mirror only the EICAR test file is recognised, and the log says so.
set -eu
here=$(dirname -- "$0")
database=/var/lib/clamav

if ! ls "$database"/main.c[vl]d >/dev/null 2>&1; then
  freshclam --stdout --config-file="$here/freshclam.conf" || true
fi
rm -f "$database/eicar.hdb"
if ! ls "$database"/main.c[vl]d >/dev/null 2>&1; then
  echo 'WARNING: no virus signatures could be fetched; only the EICAR test file is recognised' >&2
  # MD5 and size of the test file, in the .hdb format
  echo '44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature' > "$database/eicar.hdb"
fi
freshclam --daemon --foreground --stdout --config-file="$here/freshclam.conf" &
exec clamd --config-file="$here/clamd.conf"
