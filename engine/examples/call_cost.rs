//! Instructions per forwarded call. Build with `--release`, then
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*Engine::handle' \
//!     --toggle-collect='*Engine::poll_output' target/release/examples/call_cost
//! ```
//!
//! and divide what it counts by the calls it names. With `journal` as its argument the calls are
//! in a journal, and it tells how many bytes of it each takes.

#[path = "../benches/drive/mod.rs"]
#[expect(dead_code, reason = "the warm-up is the bench's")]
mod drive;

/// Enough that the first call's growth of buffers does not show.
const CALLS: u64 = 1000;

fn main() {
    let journal = std::env::args().nth(1).is_some_and(|word| word == "journal");
    let mut line = drive::Line::new(journal);
    for _ in 0..CALLS {
        line.call();
    }
    println!("{CALLS} calls, {} bytes of journal each", line.journalled as u64 / CALLS);
}
