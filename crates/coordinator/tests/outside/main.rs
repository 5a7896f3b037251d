//! The coordinator as others meet it: a client on the field's Python libraries, a
//! property-based fuzzer that reads our own document, and a browser.
//!
//! What cannot be had is skipped, and says so; with `REQUIRE_OUTSIDE_TOOLS=1`, as
//! `./bootstrap test` sets it, the test fails instead. `WITHOUT_BROWSER=1` leaves
//! out the browser where there is none to be had.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod python;

/// Notes that a test cannot run here.
fn skip(what: &str) {
    assert!(
        std::env::var_os("REQUIRE_OUTSIDE_TOOLS").is_none(),
        "{what}"
    );
    eprintln!("skipped: {what}");
}
