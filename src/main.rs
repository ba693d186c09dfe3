//! The `tensou` program.

/// The engine's thread makes and frees many small values per call; see ARCHITECTURE.md, Measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tensou::run(std::env::args_os())
}
