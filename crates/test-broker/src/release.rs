//! Which of the two broker lines is imitated, and the randomness of a seed.

/// A broker line. Where the two differ (there are 28 known differences), the code asks [`Release::is_v5`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// As 4.9.7.
    V4,
    /// As 5.5.0.
    V5,
}

impl Release {
    /// `MQVersion` ordinal in every frame of the server.
    pub(super) fn version(self) -> i32 {
        match self {
            Self::V4 => 407,
            Self::V5 => 513,
        }
    }

    /// Whether this is the newer line.
    pub(super) fn is_v5(self) -> bool {
        self == Self::V5
    }

    /// Code for an illegal queue id or topic name.
    pub(super) fn illegal_argument(self) -> i32 {
        match self {
            Self::V4 => crate::protocol::code::response::SYSTEM_ERROR,
            Self::V5 => crate::protocol::code::response::INVALID_PARAMETER,
        }
    }

    /// The name under which users choose it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "4.9.7",
            Self::V5 => "5.5.0",
        }
    }
}

/// The `n`th number of a stream of a seed: the same for the same three, whatever happened in between (`SplitMix64`).
pub(super) fn draw_bits(seed: u64, stream: u64, n: u64) -> u64 {
    let mut bits =
        seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// As [`draw_bits`], as a number from 0 up to 1.
pub(super) fn draw(seed: u64, stream: u64, n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (draw_bits(seed, stream, n) >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn draws_depend_on_seed_stream_and_place_only() {
        assert_eq!(draw(1, 2, 3).to_bits(), draw(1, 2, 3).to_bits());
        for other in [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)] {
            assert_ne!(draw(1, 2, 3).to_bits(), other.to_bits());
        }
        let mean = (0..10_000).map(|n| draw(7, 1, n)).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert!((0..10_000).all(|n| (0.0..1.0).contains(&draw(7, 1, n))));
    }
}
