//! Many small looks at the file system, side by side.

use std::num::NonZero;
use std::thread;

/// Starting a thread takes as long as several looks.
const FEWEST: usize = 64;
/// More threads than this wait for the same directories.
const MOST_THREADS: usize = 8;

/// What `look` finds for each item, in the order of the items.
#[must_use]
pub(crate) fn map<T: Sync, R: Send>(items: &[T], look: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    if items.len() < FEWEST || threads < 2 {
        return items.iter().map(look).collect();
    }
    let look = &look;
    thread::scope(|scope| {
        let all = |chunk: &[T]| chunk.iter().map(look).collect::<Vec<R>>();
        let chunks = items.chunks(items.len().div_ceil(threads));
        let running: Vec<_> = chunks
            .map(|chunk| (chunk, thread::Builder::new().spawn_scoped(scope, move || all(chunk))))
            .collect();
        let ended = running.into_iter().map(|(chunk, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // At a limit on processes this one does it all.
            Err(_) => all(chunk),
        });
        ended.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0)]
    #[case(1)]
    #[case(FEWEST)]
    #[case(1001)]
    fn results_are_in_the_order_of_items(#[case] count: usize) {
        let items: Vec<usize> = (0..count).collect();
        assert_eq!(map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }
}
