//! What a peer wants changed about numbers besides their form: digits cut off and put before,
//! and the URI they stand in.

/// Digits cut off a number and digits put before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitEdit {
    /// Cut off where the number begins with it.
    pub strip: String,
    /// Put before, always.
    pub add: String,
}

impl DigitEdit {
    /// Nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.strip.is_empty() && self.add.is_empty()
    }

    /// The digits, changed.
    pub fn apply(&self, digits: &str) -> String {
        format!("{}{}", self.add, digits.strip_prefix(&*self.strip).unwrap_or(digits))
    }
}

/// The changes of a peer, in each direction, to called numbers and to all others (caller,
/// diverting, asserted). Inwards they come before the number is read, outwards after it is
/// written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitEdits {
    /// The called number as it arrives.
    pub called_in: DigitEdit,
    /// Every other number as it arrives.
    pub caller_in: DigitEdit,
    /// The called number as it leaves.
    pub called_out: DigitEdit,
    /// Every other number as it leaves.
    pub caller_out: DigitEdit,
}

/// The URI in which a peer wants telephone numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriForm {
    /// `sip:0312345678@host`
    #[default]
    Sip,
    /// `sip:+81312345678@host;user=phone` (RFC 3261 19.1.1)
    UserPhone,
    /// `tel:+81312345678` (RFC 3966); a national number with its `phone-context`.
    Tel,
}
