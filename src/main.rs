//! The binary: everything is in the library.

use cohorte::cli::{self, Exit};

/// Rows, keys and JSON come and go by the million: with the system's own allocator that takes a quarter of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Exit {
    cli::main(std::env::args_os())
}
