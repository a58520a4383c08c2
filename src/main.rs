//! The binary: everything is in the library.

use cohorte::cli::{self, Exit};

fn main() -> Exit {
    cli::main(std::env::args_os())
}
