//! The binary: everything is in the library.

use cohorte::cli::{self, Exit};

/// Windows of rows come and go by the thousand, on changing threads: the system's own allocator keeps what is freed between them, so that
/// a long delivery grows.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Exit {
    cli::main(std::env::args_os())
}
