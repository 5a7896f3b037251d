//! Only tests: see `tests/wasm`.
