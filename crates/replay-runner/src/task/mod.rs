//! Reading a task file: TOML, JSON or YAML with the same field names, and errors
//! that name the file, the line, the field and the nearest right name.

mod file;
mod served;
mod suggestion;

pub(crate) use file::NAMES;
pub use file::{TaskFileError, TaskSource, load};
