#!/usr/bin/env bash
# Makes the secrets of compose.yaml, each random, in deploy/secrets (or a folder given as argument). What is there stays:
# Postgres keeps the password that it was first started with.
set -euo pipefail
umask 077
dir=${1:-$(cd "$(dirname "$0")" && pwd)/secrets}
mkdir -p "$dir"
# Programs in containers run as other users, and read these files by themselves. The folder keeps others out.
chmod 700 "$dir"
random() { openssl rand -hex 32; }
# secret NAME CONTENT keeps a file that is there.
secret() {
	[ -s "$dir/$1" ] || printf '%s\n' "$2" >"$dir/$1"
	chmod 644 "$dir/$1"
}
first() { head -n 1 "$dir/$1"; }

secret postgres_password "$(random)"
secret database_url "postgres://stepwell:$(first postgres_password)@postgres:5432/stepwell?sslmode=disable"
secret redis_config "requirepass $(random)"
secret redis_url "redis://:$(sed 's/^requirepass //' "$dir/redis_config")@redis:6379"
secret event_keys "$(random)"
secret signing_keys "$(random)"
secret admin_token "$(random)"
secret grafana_password "$(random)"
secret example.env "INNGEST_EVENT_KEY=$(first event_keys)
INNGEST_SIGNING_KEY=$(first signing_keys)"
echo "secrets are in $dir"
