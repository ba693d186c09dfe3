//! The machine that a measurement was made on, and what a process on it has used.

mod machine;
mod process;

pub use machine::Machine;
pub use process::Usage;
