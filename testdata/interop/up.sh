#!/bin/sh
# up.sh SERVER PORT [FOLDER]: installs an authorization server that we did not write into FOLDER, if it
# is not there, and becomes it: it serves http://127.0.0.1:PORT until it is killed. FOLDER is
# ${TMPDIR:-/tmp}/grantcheck-interop/SERVER unless given. Exit 69: it cannot be installed here.
set -eu
server=$1 port=$2
src=$(cd "$(dirname "$0")/$server" && pwd)
dir=${3:-${TMPDIR:-/tmp}/grantcheck-interop/$server}
mkdir -p "$dir"
cd "$dir"

# A folder that holds what was installed from the very same files is used as it is.
sum=$(cat "$src"/*.mjs "$src"/*.go "$src"/*.json "$src"/go.* 2>/dev/null | cksum)
if [ "$sum" != "$(cat installed 2>/dev/null)" ]; then
  cp "$src"/* .
  {
    if [ -e package.json ]; then npm ci --no-audit --no-fund; else GOWORK=off GOFLAGS=-mod=readonly go build -o server .; fi
  } >install.log 2>&1 || { tail -5 install.log >&2; exit 69; }
  echo "$sum" >installed
fi
if [ -e package.json ]; then exec node server.mjs "$port"; else exec ./server "$port"; fi
