#!/bin/bash
# Makes the pair replicate in both directions. Safe to run again: a server that has a link keeps it, and who is the
# primary is only decided while no link exists; later that is onewriter's business.
set -euo pipefail

sql() { mariadb --host="$1" --user=root --password=root-secret --batch --skip-column-names --execute="$2"; }

linked() { [ -n "$(sql "$1" 'SHOW ALL SLAVES STATUS')" ]; }

link() {
  local here=$1 source=$2
  # What the image itself logged while it set the server up must not travel.
  sql "$here" "CHANGE MASTER TO MASTER_HOST='$source', MASTER_PORT=3306, MASTER_USER='repl', MASTER_PASSWORD='repl-secret',
    MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1; START SLAVE;"
}

if linked db-a || linked db-b; then
  for server in db-a db-b; do sql "$server" 'START SLAVE' || true; done
  exit 0
fi

for server in db-a db-b; do
  sql "$server" "RESET MASTER; SET GLOBAL gtid_slave_pos='';"
done
sql db-b 'SET GLOBAL read_only=1'
link db-b db-a
link db-a db-b
echo 'db-a and db-b replicate from each other; db-a is the primary'
