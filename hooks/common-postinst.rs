fn main() -> std::process::ExitCode {
    dkms::hook::common_postinst()
}
