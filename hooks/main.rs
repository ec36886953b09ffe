fn main() -> std::process::ExitCode {
    dkms::hook::main()
}
