//! The command line of the replay engine.
fn main() {}
