//! The check that a site has not suspiciously shrunk.

/// The largest share of the live release's files that may go in one step, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxShrink(pub f64);

/// A site that lost more files than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrink {
    /// Files of the live release.
    pub live: u64,
    /// Files of the site.
    pub site: u64,
}

impl MaxShrink {
    /// The loss from `live` to `site` files, if it is more than allowed.
    pub fn check(self, live: u64, site: u64) -> Option<Shrink> {
        let lost = live.saturating_sub(site) as f64;
        (lost > self.0 * live as f64).then_some(Shrink { live, site })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_allowed_and_less_is_not() {
        let half = MaxShrink(0.5);
        assert_eq!(half.check(10, 5), None);
        assert_eq!(half.check(10, 4), Some(Shrink { live: 10, site: 4 }));
        assert_eq!(half.check(0, 0), None);
        assert_eq!(half.check(3, 300), None);
        assert_eq!(MaxShrink(1.0).check(1000, 1), None);
    }
}
