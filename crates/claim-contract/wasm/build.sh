#!/bin/sh
# Compiles the contract to the Wasm that a contracts pallet runs, on Debian 12 with a rustup toolchain beside.
#
#     wasm/build.sh [DIRECTORY]      the toolchain is unpacked there, not installed; default: target/wasm-toolchain
#
# Writes wasm/claim_contract.wasm, its digest, and the digests of what it was made from. The same versions are to give
# the same bytes; `git diff --exit-code wasm` afterwards says whether they did.
set -eu

crate=$(cd "$(dirname "$0")/.." && pwd)
tools=${1:-$crate/target/wasm-toolchain}
version=1.96.0+dfsg1-1~deb12u2
root=$tools/root

# Debian has a compiler of its own for browsers' sake; it knows wasm32 but brings no library for it, so that the library
# is built here from its source. The linker is rustup's.
if ! [ -x "$root/usr/bin/rustc" ]; then
    mkdir -p "$root"
    (
        cd "$tools"
        apt-get download -q "rustc-web=$version" "rust-web-src=$version" \
            "libstd-rust-web-1.96=$version" "libstd-rust-web-dev=$version" libllvm22 binaryen
        for package in *.deb; do dpkg -x "$package" root; done
    )
fi
mkdir -p "$root/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin"
ln -sf "$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld" \
    "$root/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"

# Only the compiler is to see its own libraries.
printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/rustc" > "$tools/rustc"
chmod +x "$tools/rustc"
export RUSTC="$tools/rustc" RUSTC_BOOTSTRAP=1
# The pallet gives memory and takes at most 16 pages; it knows no instruction that came after the first version of Wasm.
export RUSTFLAGS="-Ctarget-cpu=mvp -Clink-arg=--import-memory -Clink-arg=--max-memory=1048576 -Clink-arg=-zstack-size=65536 \
--remap-path-prefix=$crate=/contract --remap-path-prefix=$root=/toolchain --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"

cd "$crate"
cargo rustc --lib --crate-type cdylib --release --locked --no-default-features \
    --target wasm32-unknown-unknown -Zbuild-std=core,alloc --target-dir target/wasm

built=target/wasm/wasm32-unknown-unknown/release/claim_contract.wasm
# Only the two entry points may be exported.
printf '%s' '[{"name":"pallet","root":true,"reaches":["call","deploy"]},
    {"name":"call","export":"call"},{"name":"deploy","export":"deploy"}]' > target/wasm/entry-points.json
"$root/usr/bin/wasm-metadce" "$built" --graph-file target/wasm/entry-points.json -o target/wasm/entry-points.wasm > /dev/null
"$root/usr/bin/wasm-opt" -Oz --strip-debug --strip-producers --strip-target-features \
    target/wasm/entry-points.wasm -o wasm/claim_contract.wasm
# A test holds both files against what is there: a source that was changed since is a failure.
LC_ALL=C
export LC_ALL
sha256sum Cargo.lock Cargo.toml src/*.rs wasm/build.sh > wasm/sources.sha256
sha256sum wasm/claim_contract.wasm > wasm/claim_contract.wasm.sha256
printf '%s bytes, sha256 %s\n' "$(stat -c %s wasm/claim_contract.wasm)" "$(cut -d' ' -f1 wasm/claim_contract.wasm.sha256)"
