//! Who calls.

use crate::call::Source;
use crate::cdr::{Caller, CallerClass};
use crate::core::Core;
use crate::sip::syntax::{HeaderId, NameAddr};

use super::Begin;
use super::called::number_of;

impl Begin<'_, '_> {
    /// Who calls: P-Asserted-Identity of a trusted trunk before From.
    pub(super) fn caller(&self, core: &Core) -> (Caller, Option<Box<str>>) {
        let snapshot = &core.routing.snapshot;
        let trunk = match self.source {
            Source::Extension(at) => {
                let number = snapshot.extension(at).presented;
                let class = number.map_or(CallerClass::Unavailable, |_| CallerClass::Number);
                return (Caller { number, class }, None);
            }
            Source::Trunk(at) => snapshot.trunk(at),
        };
        let Ok(from) = self.msg.from() else { return (Caller::default(), None) };
        let withheld = (self.msg.tokens(HeaderId::Privacy))
            .any(|token| token.eq_ignore_ascii_case("id") || token.eq_ignore_ascii_case("user"));
        if withheld || is_anonymous(&from) {
            return (Caller { number: None, class: class_of_display(from.display) }, None);
        }
        let asserted = trunk.trusted.then(|| {
            let mut asserted = self.msg.addresses(HeaderId::PAssertedIdentity).flatten();
            asserted.find_map(|one| number_of(&one.uri, trunk))
        });
        let number = asserted.flatten().or_else(|| number_of(&from.uri, trunk));
        let class = number.map_or(CallerClass::Unavailable, |_| CallerClass::Number);
        let display = from.display.map(|text| text.replace('\\', "").into_boxed_str());
        (Caller { number, class }, display)
    }
}

fn is_anonymous(from: &NameAddr<'_>) -> bool {
    let user = from.uri.user.unwrap_or_default();
    user.eq_ignore_ascii_case("anonymous")
        || from.uri.host.eq_ignore_ascii_case("anonymous.invalid")
        || user.eq_ignore_ascii_case("unavailable")
}

/// The texts by which Japanese networks tell why there is no number.
fn class_of_display(display: Option<&str>) -> CallerClass {
    let text = display.unwrap_or_default().trim().to_ascii_lowercase();
    if text.starts_with("coin line") {
        CallerClass::Payphone
    } else if text.starts_with("unavailable") || text.starts_with("interaction with other") {
        CallerClass::Unavailable
    } else {
        CallerClass::Withheld
    }
}
