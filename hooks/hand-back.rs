fn main() -> std::process::ExitCode {
    dkms::hook::hand_back()
}
