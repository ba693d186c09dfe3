//! Why the app layer did not do what it was asked.

use tensou_engine::route::Fault;
use tensou_store::StoreError;

use super::auth::NoRandomness;

/// A refusal, for REST and screens alike. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody, or nobody we know any more, asks.
    #[error("sign in, or send a valid token")]
    Unauthenticated,
    /// The role does not include this.
    #[error("your role does not allow this")]
    Forbidden,
    /// The session's proof that the request comes from our own page is missing or wrong.
    #[error("the request does not carry the session's CSRF token")]
    Csrf,
    /// No such thing, or none that the asker sees.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The row has changed since the version that was named in `If-Match`.
    #[error("the row has changed in the meantime: read it again")]
    Version,
    /// The request's content is wrong: every fault with its place.
    #[error("the request has faults")]
    Invalid(Vec<Flaw>),
    /// The request itself is wrong: not JSON, wrong content type.
    #[error("{0}")]
    Malformed(String),
    /// The body is not JSON by its content type.
    #[error("send the body as application/json")]
    MediaType,
    /// The body is larger than any document of ours.
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    /// The address exists, but not for this method.
    #[error("this address does not take this method")]
    MethodNotAllowed,
    /// Too many bad sign-ins.
    #[error("too many failed attempts: wait a while")]
    TooMany {
        /// How long.
        retry_after: std::time::Duration,
    },
    /// Something of ours is not available now: engine, database.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The database failed.
    #[error("the database is not available")]
    Store(#[source] StoreError),
    /// The machine failed us.
    #[error("an internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One thing wrong in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where: a JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Flaw {
    /// A flaw of the body at `pointer`.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Flaw { pointer: pointer.into(), message: message.into() }
    }

    /// A flaw of the query parameter `name`.
    pub fn query(name: &str, message: impl Into<String>) -> Self {
        Flaw { pointer: format!("?{name}"), message: message.into() }
    }

    /// The flaw that a fault of the provisioning is to the request that writes the row `kind`
    /// `key`. Faults of other rows have no place in its body: the message names them.
    fn of_fault(fault: &Fault, kind: &str, key: &str) -> Self {
        if fault.kind == kind && (fault.key == key || fault.key.is_empty()) {
            Flaw { pointer: pointer_of(&fault.field), message: fault.message.clone() }
        } else {
            Flaw { pointer: String::new(), message: fault.to_string() }
        }
    }
}

impl Refusal {
    /// One fault in the body.
    pub fn flaw(pointer: &str, message: impl Into<String>) -> Self {
        Refusal::Invalid(vec![Flaw::at(pointer, message)])
    }

    /// What a store's answer means to somebody who asked about a row `kind` with the id `key`.
    pub fn of_row(error: StoreError, kind: &'static str, key: &str) -> Self {
        match error {
            StoreError::NotFound => Refusal::NotFound(kind),
            StoreError::Conflict(_) => Refusal::Conflict(format!("a {kind} {key} exists already")),
            StoreError::Version => Refusal::Version,
            StoreError::Invalid(faults) => Refusal::Invalid(
                faults.iter().map(|fault| Flaw::of_fault(fault, kind, key)).collect(),
            ),
            StoreError::InUse { .. } | StoreError::LastAdmin => {
                Refusal::Conflict(error.to_string())
            }
            StoreError::Filter { field, message } => {
                Refusal::Invalid(vec![Flaw::query(&field, message)])
            }
            StoreError::Cursor => Refusal::Invalid(vec![Flaw::query(
                "after",
                "this is no cursor that the list gave out",
            )]),
            StoreError::Url(_) | StoreError::Corrupt(_) | StoreError::Database(_) => {
                Refusal::Store(error)
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::of_row(error, "row", "")
    }
}

impl From<NoRandomness> for Refusal {
    fn from(error: NoRandomness) -> Self {
        Refusal::Internal(Box::new(error))
    }
}

/// `members[1].ring` as the JSON pointer `/members/1/ring`.
fn pointer_of(field: &str) -> String {
    let mut pointer = String::with_capacity(field.len() + 1);
    for part in field.split(['.', '[']) {
        let part = part.trim_end_matches(']');
        if !part.is_empty() {
            pointer.push('/');
            pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_provisioning_becomes_a_json_pointer() {
        assert_eq!(pointer_of("members[1].ring"), "/members/1/ring");
        assert_eq!(pointer_of("name"), "/name");
        assert_eq!(pointer_of("route[0]"), "/route/0");
        assert_eq!(pointer_of(""), "");
    }

    #[test]
    fn a_fault_of_another_row_is_named_and_not_misplaced() {
        let fault = Fault {
            kind: "did",
            key: "+81311112222".into(),
            field: "route[0].ring".into(),
            message: "no such group".into(),
        };
        let own = Flaw::of_fault(&fault, "did", "+81311112222");
        assert_eq!(own, Flaw::at("/route/0/ring", "no such group"));
        let other = Flaw::of_fault(&fault, "group", "sales");
        assert_eq!(other.pointer, "");
        assert!(other.message.contains("+81311112222"), "{}", other.message);
    }
}
