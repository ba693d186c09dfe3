//! What a listener would say of a direction, estimated from its loss and jitter.

/// Advantage-free transmission rating of a narrowband call without any impairment
/// (ITU-T G.107 default values).
const R_BEST: f32 = 93.2;
/// G.711 with packet loss concealment, random loss (ITU-T G.113 Appendix I): equipment
/// impairment factor 0, packet-loss robustness 25.1.
const LOSS_ROBUSTNESS: f32 = 25.1;
/// Delay that every call has: 20 ms of packetisation, the same of playout, and a national
/// network, in milliseconds. The true one-way delay cannot be seen at the relay.
const BASE_DELAY_MS: f32 = 60.0;
/// A jitter buffer holds about twice the mean deviation.
const BUFFER_PER_JITTER: f32 = 2.0;

/// Mean opinion score of a G.711 direction, 1.0 (useless) to about 4.4 (perfect).
///
/// The E-model of ITU-T G.107 with its default values but for what is measured here: delay by
/// the jitter buffer (the usual simplification of Idd) and the effective equipment impairment by
/// random loss. `loss_ratio` is 0 to 1 ([`crate::SideCounters::loss_ratio`]); values outside
/// count as the nearest bound. For codecs other than G.711 it is an upper bound.
pub fn mos(loss_ratio: f32, jitter_ms: f32) -> f32 {
    let loss_percent = loss_ratio.clamp(0.0, 1.0) * 100.0;
    let delay_ms = BASE_DELAY_MS + BUFFER_PER_JITTER * jitter_ms.max(0.0);
    let delay_impairment = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    let loss_impairment = 95.0 * loss_percent / (loss_percent + LOSS_ROBUSTNESS);
    opinion(R_BEST - delay_impairment - loss_impairment)
}

/// ITU-T G.107 Annex B.
fn opinion(rating: f32) -> f32 {
    if rating <= 0.0 {
        return 1.0;
    }
    let rating = rating.min(100.0);
    // The cubic dips just below 1 for very small ratings.
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_call_is_as_good_as_narrowband_gets() {
        assert!((4.3..4.45).contains(&mos(0.0, 0.0)), "{}", mos(0.0, 0.0));
    }

    #[test]
    fn loss_and_jitter_are_heard() {
        let scores = [mos(0.0, 0.0), mos(0.01, 0.0), mos(0.05, 0.0), mos(0.2, 0.0), mos(1.0, 0.0)];
        assert!(scores.is_sorted_by(|better, worse| better > worse), "{scores:?}");
        assert!((3.5..3.9).contains(&mos(0.05, 5.0)), "5 % concealed: {}", mos(0.05, 5.0));
        assert!(mos(0.0, 200.0) < 3.5, "half a second of buffer: {}", mos(0.0, 200.0));
    }

    #[test]
    fn the_score_stays_on_its_scale() {
        for loss in [-1.0, 0.0, 0.5, 2.0] {
            for jitter in [-5.0, 0.0, 1e9] {
                assert!((1.0..4.5).contains(&mos(loss, jitter)), "{loss} {jitter}");
            }
        }
    }
}
