//! The database at a node's start, when it may be away: calls go on with the provisioning as it
//! was last, and the rest waits until the database is opened.

use std::time::Duration;

use tensou_admin::app::people::{Account, create_user};
use tensou_config::Settings;
use tensou_store::{Actor, Role, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::{refused, store_failure};
use crate::failure::Failure;
use crate::provisioning_copy::CopyFile;
use crate::snapshot_task::{Compiled, LoadError, compile, load};

/// The name of the first user.
const FIRST_USER: &str = "admin";
/// How long a node without calls waits for the database before it begins without.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to open it afterwards.
const RETRY: Duration = Duration::from_secs(1);

/// The database of a node to be.
pub(crate) enum Database {
    /// Its schema is up to date.
    Open(Store),
    /// It may be away.
    Unopened(Store),
}

/// What a node begins with.
pub(crate) struct Beginning {
    pub(crate) store: Store,
    pub(crate) provisioning: Compiled,
    /// Whether the database is open, as yet.
    pub(crate) opened: Opened,
    /// What the first user signs in with, where there was none.
    pub(crate) password: Option<String>,
}

/// Tells when the database is open: its schema up to date.
#[derive(Clone, Debug)]
pub(crate) struct Opened(watch::Receiver<bool>);

impl Opened {
    /// From the start.
    pub(crate) fn already() -> Opened {
        Opened(watch::channel(true).1)
    }

    /// Whether it is.
    pub(crate) fn is(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is.
    pub(crate) async fn wait(&self) {
        // Only the end of the process ends who would tell.
        if self.0.clone().wait_for(|opened| *opened).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Database {
    /// Opens the database and reads the provisioning. With `calls` that wait for that, or a
    /// database that does not answer in time, the copy of the provisioning serves, if there is
    /// one, and the database is opened in the background by the task that is returned.
    ///
    /// # Errors
    /// There is neither, or the database holds what this program cannot read.
    pub(crate) async fn begin(
        self,
        settings: &Settings,
        calls: usize,
    ) -> Result<(Beginning, Option<JoinHandle<()>>), Failure> {
        let store = match self {
            Database::Open(store) => {
                let provisioning = load(&store).await.map_err(LoadError::failure)?;
                let opened = Opened::already();
                return Ok((Beginning { store, provisioning, opened, password: None }, None));
            }
            Database::Unopened(store) => store,
        };
        let Some(copy) = CopyFile::of(settings).read() else {
            return Ok((open_and_load(store).await.map_err(|error| at(settings, error))?, None));
        };
        if calls == 0 {
            match tokio::time::timeout(PATIENCE, open_and_load(store.clone())).await {
                Ok(Ok(beginning)) => return Ok((beginning, None)),
                Ok(Err(error)) if !error.is_missing() => return Err(at(settings, error)),
                Ok(Err(error)) => tracing::error!("the database cannot be opened: {error}"),
                Err(_) => tracing::error!("the database does not answer"),
            }
        }
        let revision = copy.revision;
        tracing::warn!(revision, "beginning with the provisioning as it was last");
        let provisioning = compile(copy).await.map_err(LoadError::failure)?;
        let (sender, opened) = watch::channel(false);
        let opening = tokio::spawn(keep_opening(store.clone(), sender));
        let opened = Opened(opened);
        Ok((Beginning { store, provisioning, opened, password: None }, Some(opening)))
    }
}

fn at(settings: &Settings, failure: Failure) -> Failure {
    failure.within(format!("database {}", settings.database.url))
}

async fn open_and_load(store: Store) -> Result<Beginning, Failure> {
    let password = open(&store).await?;
    let provisioning = load(&store).await.map_err(LoadError::failure)?;
    Ok(Beginning { store, provisioning, opened: Opened::already(), password })
}

/// Brings the schema up to date, and sees to it that somebody may sign in.
async fn open(store: &Store) -> Result<Option<String>, Failure> {
    store.migrate().await.map_err(store_failure)?;
    first_user(store).await
}

/// Opens the database as soon as it lets itself be opened.
async fn keep_opening(store: Store, opened: watch::Sender<bool>) {
    let mut said = String::new();
    loop {
        match open(&store).await {
            Ok(password) => {
                tracing::info!("the database is open");
                show(password.as_deref());
                opened.send_replace(true);
                return;
            }
            Err(error) => {
                let why = error.to_string();
                if why != said {
                    tracing::error!("the database cannot be opened, calls go on: {why}");
                }
                said = why;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// With an empty database, adds a user who may do everything; the password is known to nobody
/// else.
pub(crate) async fn first_user(store: &Store) -> Result<Option<String>, Failure> {
    if store.count_users().await.map_err(store_failure)? > 0 {
        return Ok(None);
    }
    let account = Account::new(FIRST_USER, Role::Admin);
    match create_user(store, &Actor::system(), account).await {
        Ok(password) => Ok(Some(password.reveal().to_owned())),
        // Another node has just begun, and shown the password.
        Err(_) if store.count_users().await.map_err(store_failure)? > 0 => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// Tells the operator how the first user signs in.
pub(crate) fn show(password: Option<&str>) {
    if let Some(password) = password {
        println!("First sign-in: user {FIRST_USER}, one-time password {password}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_nodes_that_begin_together_on_an_empty_database_one_shows_the_password() {
        let dir = std::env::temp_dir().join(format!("tensou-first-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let url = format!("sqlite:{}", dir.join("tensou.db").display());
        let store = Store::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let (one, other) = tokio::join!(first_user(&store), first_user(&store));
        let shown = [one.unwrap(), other.unwrap()];
        assert_eq!(shown.iter().flatten().count(), 1);
        assert_eq!(store.count_users().await.unwrap(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
