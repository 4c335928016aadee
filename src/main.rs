use std::process::ExitCode;

fn main() -> ExitCode {
    zeroload::cli::main()
}
