fn main() -> std::process::ExitCode {
    dkms::hook::kernel_install()
}
