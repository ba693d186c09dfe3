//! `tensou check`

use tensou_engine::route::Snapshot;

use super::args::SettingsArgs;
use super::{block_on, load, open, store_failure};
use crate::failure::Failure;
use crate::tls::{self, Certificates};

/// Prints every problem of settings and database.
pub(super) fn check(args: &SettingsArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    match &loaded.file {
        Some(file) => println!("{}: the settings are right", file.display()),
        None => println!("no settings file: every setting has its default"),
    }
    tls::install_provider();
    Certificates::load(&loaded.settings).map_err(Failure::input)?;
    block_on(async {
        let store = open(&loaded.settings).await?;
        let provisioning = store.provisioning().await.map_err(store_failure)?;
        let mut faults = provisioning.faults;
        let size = &provisioning.provisioning;
        if let Err(more) = Snapshot::compile(provisioning.revision, size) {
            faults.extend(more);
        }
        if !faults.is_empty() {
            return Err(Failure::inputs(faults));
        }
        println!(
            "{}: the provisioning is right: {} trunks, {} customers, {} DIDs, {} destinations, \
             {} groups, {} extensions",
            loaded.settings.database.url,
            size.trunks.len(),
            size.customers.len(),
            size.dids.len(),
            size.destinations.len(),
            size.groups.len(),
            size.extensions.len(),
        );
        Ok(())
    })
}
