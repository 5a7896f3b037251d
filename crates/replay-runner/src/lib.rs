//! The replay engine as a library.
