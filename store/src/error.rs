//! What can go wrong, by what a caller does about it.

use tensou_engine::route::Fault;

/// Why the store did not do what it was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row, or none that the actor sees.
    #[error("no such row")]
    NotFound,
    /// A row with this id exists already.
    #[error("{0} exists already")]
    Conflict(String),
    /// The row has changed since the version that was named.
    #[error("the row has changed in the meantime")]
    Version,
    /// The input is wrong, or would make the provisioning wrong: every fault at once.
    #[error("{}", list_faults(.0))]
    Invalid(Vec<Fault>),
    /// Other rows refer to the one to be deleted.
    #[error("{kind} {id} is used by {}", .by.join(", "))]
    InUse {
        /// Kind of the row.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Who refers to it, `did +81311112222`.
        by: Vec<String>,
    },
    /// Without it nobody could administer the system.
    #[error("the last administrator cannot be removed")]
    LastAdmin,
    /// A list was asked for by a field that it cannot be filtered by, or by a wrong value.
    #[error("filter {field}: {message}")]
    Filter {
        /// The field.
        field: String,
        /// What is wrong and what is possible.
        message: String,
    },
    /// `after` is no cursor that a list gave out.
    #[error("the cursor is not one of this list")]
    Cursor,
    /// The database URL is wrong; the text never repeats its password.
    #[error("database url: {0}")]
    Url(String),
    /// The database holds what this program cannot read: a newer schema, an unknown word.
    #[error("the database holds what this version cannot read: {0}")]
    Corrupt(String),
    /// The database failed or cannot be reached.
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Database(Box::new(error))
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => {
                StoreError::Corrupt(format!("schema version {version} was made by a newer program"))
            }
            other => StoreError::Database(Box::new(other)),
        }
    }
}

fn list_faults(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}
