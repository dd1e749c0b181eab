#!/usr/bin/env bash
# Runs the main job once, where you can see it: the dev server, an example app, an event, and the run on a timeline.
# Stays up until Ctrl-C. Called by `make demo`, which builds bin/stepwell and bin/example first.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$(mktemp -d)
cleanup() {
	trap - EXIT INT TERM
	# shellcheck disable=SC2046 # one word for each process
	kill $(jobs -p) 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$logs"
}
trap cleanup EXIT
trap 'echo; exit 0' INT TERM

taken() { (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null; }

# The first free port from a given one on.
free_port() {
	local port=$1
	while taken "$port"; do port=$((port + 1)); done
	echo "$port"
}

# Waits until a command succeeds, while the process it is about lives.
wait_for() {
	local pid=$1 log=$2
	shift 2
	for _ in $(seq 200); do
		if "$@" >/dev/null 2>&1; then return; fi
		if ! kill -0 "$pid" 2>/dev/null; then break; fi
		sleep 0.05
	done
	echo "demo: waited in vain for: $*" >&2
	cat "$log" >&2
	exit 1
}

server_port=$(free_port 8288)
grpc_port=$(free_port $((server_port + 1)))
app_port=$(free_port 3000)
server=http://localhost:$server_port
app=http://localhost:$app_port/api/inngest
export STEPWELL_SERVER=$server

PORT=$app_port INNGEST_DEV=$server bin/example >"$logs/app" 2>&1 &
app_pid=$!
wait_for "$app_pid" "$logs/app" taken "$app_port"

bin/stepwell dev --port "$server_port" --grpc-port "$grpc_port" --urls "$app" --no-discovery --retry-interval 1s \
	>"$logs/server" 2>&1 &
server_pid=$!
synced() { bin/stepwell functions | grep -q shop-handle-order; }
wait_for "$server_pid" "$logs/server" synced

data='{"id":"o-1","email":"ada@example.com","cents":4200,"items":["book","lamp","chair"]}'
cat <<TEXT

The dev server runs at $server, an example app (deploy/example, unmodified Go SDK) at $app.

\$ bin/stepwell functions
$(bin/stepwell functions)

\$ bin/stepwell send shop/order.placed --data '$data'
$(bin/stepwell send shop/order.placed --data "$data")

\$ bin/stepwell runs show --watch
TEXT
bin/stepwell runs show --watch

cat <<TEXT

The carrier failed twice and its step recovered; the steps before it ran once. Both stay up until Ctrl-C. Try next,
in another terminal:

  export STEPWELL_SERVER=$server
  bin/stepwell send shop/order.placed --data '$data'
  bin/stepwell runs
  curl -s $server/e/any-key -d '{"name":"shop/order.placed","data":$data}'

Your own app, in any language with an Inngest SDK: run it with INNGEST_DEV=$server, and
  bin/stepwell dev --urls http://localhost:PORT/api/inngest
TEXT
# A server or an app that dies ends the demo.
wait -n "$server_pid" "$app_pid"
echo "demo: the server or the app ended" >&2
cat "$logs/server" "$logs/app" >&2
exit 1
