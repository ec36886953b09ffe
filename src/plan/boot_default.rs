//! Which kernel a boot loader should start by default, and what has to be done for that.

use crate::model::KernelRelease;

/// What is known of a boot loader and the kernels.
#[derive(Debug, Clone)]
pub(crate) struct BootFacts {
    /// The kernels from the newest to the oldest, each with whether it has its drivers.
    pub kernels: Vec<(KernelRelease, bool)>,
    /// The entry that was chosen as default; none where the first of the menu is.
    pub chosen: Option<String>,
    /// The one that we chose.
    pub ours: Option<String>,
}

/// What is done with the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BootPlan {
    /// It stays as it is.
    Leave,
    /// Another person's choice stands, and what we remember is out of date.
    Forget,
    /// This kernel becomes the default, for the newest lacks drivers.
    Keep(KernelRelease),
    /// The newest is the default again.
    GiveBack,
}

/// Decides. What a person chose is left alone, and where no kernel has its drivers none is better than another.
#[must_use]
pub(crate) fn plan_boot_default(facts: &BootFacts) -> BootPlan {
    let is_ours = facts.ours.is_some() && facts.chosen == facts.ours;
    if facts.chosen.is_some() && !is_ours {
        return if facts.ours.is_some() { BootPlan::Forget } else { BootPlan::Leave };
    }
    let complete = facts.kernels.iter().position(|(_, is_complete)| *is_complete);
    match complete {
        Some(0) | None if is_ours => BootPlan::GiveBack,
        Some(0) | None if facts.ours.is_some() => BootPlan::Forget,
        Some(0) | None => BootPlan::Leave,
        Some(at) => BootPlan::Keep(facts.kernels[at].0.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn release(text: &str) -> KernelRelease {
        KernelRelease::new(text).unwrap()
    }

    #[rstest]
    #[case::all_complete(&[true, true], None, None, BootPlan::Leave)]
    #[case::newest_incomplete(&[false, true], None, None, BootPlan::Keep(release("k1")))]
    #[case::two_incomplete(&[false, false, true], None, None, BootPlan::Keep(release("k2")))]
    #[case::none_complete(&[false, false], None, None, BootPlan::Leave)]
    #[case::no_kernel(&[], None, None, BootPlan::Leave)]
    #[case::ours_stays(&[false, true], Some("e"), Some("e"), BootPlan::Keep(release("k1")))]
    #[case::complete_again(&[true, true], Some("e"), Some("e"), BootPlan::GiveBack)]
    #[case::none_complete_any_more(&[false, false], Some("e"), Some("e"), BootPlan::GiveBack)]
    #[case::chosen_by_hand(&[false, true], Some("x"), None, BootPlan::Leave)]
    #[case::chosen_by_hand_since(&[false, true], Some("x"), Some("e"), BootPlan::Forget)]
    #[case::unset_by_hand_since(&[true, true], None, Some("e"), BootPlan::Forget)]
    fn default_is_the_newest_with_its_drivers(
        #[case] complete: &[bool],
        #[case] chosen: Option<&str>,
        #[case] ours: Option<&str>,
        #[case] expected: BootPlan,
    ) {
        let kernels = complete.iter().enumerate().map(|(at, is)| (release(&format!("k{at}")), *is)).collect();
        let facts = BootFacts { kernels, chosen: chosen.map(str::to_owned), ours: ours.map(str::to_owned) };
        assert_eq!(plan_boot_default(&facts), expected);
    }
}
