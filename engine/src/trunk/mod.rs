//! What we are to trunks as their client: credentials, registration, health.

mod again;
mod credentials;
mod figures;
mod grant;
mod health;
mod registration;
mod requests;
mod watch;

pub(crate) use again::send_again;
pub(crate) use credentials::header_of;
pub(crate) use figures::Figures;
pub(crate) use watch::{Trunks, answered, due, install, leave, unanswered};
