//! The command `dkms`.

fn main() -> std::process::ExitCode {
    dkms::cli::main()
}
