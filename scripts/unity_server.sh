#!/bin/sh
# Prints the path of a Unity Catalog server; builds it the first time, into a cache folder outside of the project.
set -eu
version=0.0.11
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sensor-streams/unity
server=$cache/bin/uc-server

if ! [ -x "$server" ] || ! grep -q "olai-uc-server $version " "$cache/.crates.toml"; then
  command -v cargo >/dev/null 2>&1 || {
    echo "cargo, which builds the Unity Catalog server, was not found: install Rust" >&2
    exit 3
  }
  echo "building a Unity Catalog server into $cache (once; some 15 minutes on 2 cores)" >&2
  # The compiled parts need some gigabytes and are removed afterwards.
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  CARGO_TARGET_DIR=$build cargo install olai-uc-server --version "$version" --features bin --locked \
    --root "$cache" >&2 || {
    echo "the Unity Catalog server could not be built: see above" >&2
    exit 1
  }
fi
echo "$server"
