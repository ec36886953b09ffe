//! Where the sign tool is: as configured, or where the distribution keeps it.

use super::{Reason, SigningFacts};
use crate::system::files::is_executable;
use std::path::PathBuf;

/// The sign tool; a configured one is taken or missed, never replaced by another.
pub(crate) fn find(configured: Option<&str>, facts: &SigningFacts) -> Result<PathBuf, Reason> {
    let tool = match configured {
        Some(path) => facts.rooted(path),
        None => of_distribution(facts)
            .filter(|tool| tool.is_file())
            .unwrap_or_else(|| facts.modules_dir.join("build/scripts/sign-file")),
    };
    if is_executable(&tool) { Ok(tool) } else { Err(Reason::ToolMissing { tool }) }
}

fn of_distribution(facts: &SigningFacts) -> Option<PathBuf> {
    let release = facts.release.as_str();
    if facts.family.starts_with("debian") {
        // Debian's headers link to one package of tools for all kernels of a series.
        let series = release.rsplit_once('.').map_or(release, |(series, _)| series);
        Some(facts.rooted(format!("/usr/lib/linux-kbuild-{series}/scripts/sign-file")))
    } else if facts.family.starts_with("ubuntu") {
        let headers = || facts.rooted(format!("/usr/src/linux-headers-{release}/scripts/sign-file"));
        Some(facts.program("kmodsign").unwrap_or_else(headers))
    } else if facts.family.starts_with("gentoo") {
        Some(facts.rooted(format!("/usr/src/linux-{release}/scripts/sign-file")))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::tests::{BUILD_TOOL, World};
    use rstest::rstest;

    const DEBIAN: &str = "/usr/lib/linux-kbuild-6.1/scripts/sign-file";
    const UBUNTU: &str = "/usr/src/linux-headers-6.1.0-55-amd64/scripts/sign-file";
    const GENTOO: &str = "/usr/src/linux-6.1.0-55-amd64/scripts/sign-file";
    const KMODSIGN: &str = "/usr/bin/kmodsign";

    #[rstest]
    #[case("debian", &[DEBIAN, BUILD_TOOL], DEBIAN)]
    #[case("debian", &[BUILD_TOOL], BUILD_TOOL)]
    #[case("ubuntu debian", &[KMODSIGN, UBUNTU, BUILD_TOOL, DEBIAN], KMODSIGN)]
    #[case("ubuntu", &[UBUNTU, BUILD_TOOL], UBUNTU)]
    #[case("ubuntu", &[BUILD_TOOL], BUILD_TOOL)]
    #[case("gentoo", &[GENTOO, BUILD_TOOL], GENTOO)]
    #[case("fedora", &[DEBIAN, UBUNTU, GENTOO, KMODSIGN, BUILD_TOOL], BUILD_TOOL)]
    fn the_tool_is_where_the_distribution_keeps_it(
        #[case] family: &'static str,
        #[case] present: &[&str],
        #[case] expected: &str,
    ) {
        let world = present.iter().fold(World::new(family), |world, path| world.program(path));
        assert_eq!(world.with_facts(|facts| find(None, facts)), Ok(world.path(expected)));
    }

    #[test]
    fn a_configured_tool_is_not_replaced() {
        let world = World::new("debian").program(DEBIAN).program(BUILD_TOOL).program("/opt/sign");
        let found = |tool| world.with_facts(|facts| find(Some(tool), facts));
        assert_eq!(found("/opt/sign"), Ok(world.path("/opt/sign")));
        assert_eq!(found("/opt/none"), Err(Reason::ToolMissing { tool: world.path("/opt/none") }));
    }

    #[test]
    fn a_file_that_cannot_run_is_no_tool() {
        let world = World::new("debian").file(DEBIAN, "").program(BUILD_TOOL);
        let missing = Err(Reason::ToolMissing { tool: world.path(DEBIAN) });
        assert_eq!(world.with_facts(|facts| find(None, facts)), missing);
    }
}
