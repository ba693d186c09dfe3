//! `tensou user add` and `tensou token add`

use tensou_admin::app::people::{Account, create_token, create_user};
use tensou_store::{Actor, Store};

use super::args::{PersonArgs, SettingsArgs};
use super::{block_on, load, open, refused};
use crate::failure::Failure;

pub(super) fn add_user(args: &SettingsArgs, person: PersonArgs) -> Result<(), Failure> {
    with_store(args, async |store| {
        let name = person.name.clone();
        let password =
            create_user(&store, &Actor::system(), account(person)).await.map_err(refused)?;
        println!("User {name} can sign in with this password, which is shown only now:");
        println!("{}", password.reveal());
        Ok(())
    })
}

pub(super) fn add_token(args: &SettingsArgs, person: PersonArgs) -> Result<(), Failure> {
    with_store(args, async |store| {
        let (_, text) =
            create_token(&store, &Actor::system(), account(person), None).await.map_err(refused)?;
        eprintln!("The token, which is shown only now (Authorization: Bearer TOKEN):");
        println!("{}", text.reveal());
        Ok(())
    })
}

fn with_store(
    args: &SettingsArgs,
    work: impl AsyncFnOnce(Store) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let loaded = load(args)?;
    block_on(async {
        let store = open(&loaded.settings).await?;
        work(store).await
    })
}

fn account(person: PersonArgs) -> Account {
    Account {
        name: person.name,
        role: person.role,
        customer: person.customer,
        reseller: person.reseller,
    }
}
