//! The `tensou` program.

fn main() -> std::process::ExitCode {
    tensou::run(std::env::args_os())
}
