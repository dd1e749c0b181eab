#!/usr/bin/env bash
# Builds the images named as arguments into tarballs in $OUT, for $PLATFORMS, as version $VERSION. Called by `make images`.
# With a BuildKit at hand (buildctl, or docker buildx with a builder that makes OCI tarballs) from deploy/Dockerfile, else
# with tools/images alone. BUILDER=go or BUILDER=buildkit decides it. Digests that are compared are those of BUILDER=go:
# they depend on the commit only, and not on which BuildKit there is.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${VERSION:?}" "${PLATFORMS:?}" "${OUT:?}" "${BUILDER:=}"

buildctl_works() { command -v buildctl >/dev/null && timeout 5 buildctl debug workers >/dev/null 2>&1; }
# The driver "docker" cannot write tarballs of several platforms.
buildx_works() {
	local about
	command -v docker >/dev/null && about=$(timeout 15 docker buildx inspect --bootstrap 2>/dev/null) &&
		grep -Eq '^Driver: +(docker-container|remote|kubernetes)$' <<<"$about"
}

if [ "$BUILDER" != go ] && buildctl_works; then
	builder=buildctl
elif [ "$BUILDER" != go ] && buildx_works; then
	builder=buildx
elif [ "$BUILDER" = buildkit ]; then
	echo 'images: BUILDER is buildkit, but neither buildctl nor docker buildx reaches one that makes OCI tarballs' >&2
	exit 1
else
	GOWORK=off exec go run -C tools/images . --version "$VERSION" --platforms "$PLATFORMS" --out "$OUT" "$@"
fi

mkdir -p "$OUT"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
created=$(TZ=UTC0 printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$SOURCE_DATE_EPOCH")
arguments=(VERSION="$VERSION" REVISION="$(git rev-parse HEAD)" CREATED="$created" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH")
[ -z "${GOPROXY:-}" ] || arguments+=(GOPROXY="$GOPROXY")
for service in "$@"; do
	options=()
	output="type=oci,name=stepwell/$service:$VERSION,dest=$OUT/$service.tar,rewrite-timestamp=true"
	if [ "$builder" = buildctl ]; then
		for argument in SERVICE="$service" "${arguments[@]}"; do options+=(--opt "build-arg:$argument"); done
		buildctl build --frontend dockerfile.v0 --local context=. --local dockerfile=deploy --opt platform="$PLATFORMS" \
			"${options[@]}" --output "$output"
	else
		for argument in SERVICE="$service" "${arguments[@]}"; do options+=(--build-arg "$argument"); done
		docker buildx build --file deploy/Dockerfile --platform "$PLATFORMS" --provenance=false "${options[@]}" \
			--output "$output" .
	fi
	echo "$OUT/$service.tar"
done
