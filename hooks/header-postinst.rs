fn main() -> std::process::ExitCode {
    dkms::hook::header_postinst()
}
