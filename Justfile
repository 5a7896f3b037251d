# What people and CI run. `./bootstrap RECIPE` makes a bare machine ready first.

target := env("CARGO_TARGET_DIR", "target")

# List the recipes.
default:
    @just --list --unsorted

# The whole system once, live: miners, validators, rewards; about a minute.
demo *ARGS: build
    {{target}}/debug/replay-runner images build
    cd crates/claim-contract && cargo build --example execute_epoch
    {{target}}/debug/demo {{ARGS}}

# Run every test, those against the real engine included.
test *ARGS: (build "--tests")
    {{target}}/debug/replay-runner images build
    cd crates/claim-contract && cargo build --example execute_epoch
    cargo nextest run --workspace --no-fail-fast {{ARGS}}
    cargo test --workspace --doc --quiet
    cd crates/claim-contract && cargo nextest run

# Fuzz every route of the coordinator, with 2,000 requests for each group of them.
fuzz CASES="2000":
    FUZZ_CASES={{CASES}} REQUIRE_OUTSIDE_TOOLS=1 cargo test --workspace --test outside fuzzing -- --nocapture

# Compile the contract to Wasm, and execute that in a contracts pallet: some 350 crates, minutes.
# Needs Debian 12, from whose archive the compiler's parts for Wasm are unpacked beside the crate.
contract-wasm:
    cd crates/claim-contract && wasm/build.sh && cd wasm-test && cargo test --locked -- --nocapture

# What must be clean before a change lands: format, lints, tests, documentation.
check: && test
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
    cd crates/claim-contract && cargo fmt --check && cargo clippy --all-targets -- -D warnings

# Measure, side by side in one run; without ARGS a million claims, too.
bench *ARGS:
    cargo build --release --workspace --bins --examples
    {{target}}/release/replay-runner images build
    {{target}}/release/bench {{ARGS}}
    {{ if ARGS == "" { "cargo bench --workspace --bench million" } else { "" } }}

# Build the sandbox images that are missing or out of date.
images *ARGS:
    cargo build -p replay-runner
    {{target}}/debug/replay-runner images build {{ARGS}}

# Build all programs. With the tests in one go, what both need is compiled once.
build *ARGS:
    cargo build --workspace --bins {{ARGS}}

# Remove what building and running left: compiled code, containers, caches.
clean:
    cargo clean
    cd crates/claim-contract && cargo clean
    cd crates/claim-contract/wasm-test && cargo clean
    rm -rf "${REPLAY_RUNNER_STATE:-/var/lib/replay-runner}"
