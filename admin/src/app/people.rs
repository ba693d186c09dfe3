//! Users and tokens: making them, with secrets that are shown once.
//!
//! The functions on a [`Store`] serve the command line and the first start, where nobody has
//! signed in; those on [`App`] serve REST.

use tensou_engine::Secret;
use tensou_store::{Actor, NewToken, NewUser, Page, Paged, Role, Store, Token, User, UserChange};

use super::App;
use super::auth::{
    Action, Area, Principal, fingerprint, hash_password, random_password, random_token,
};
use super::refusal::Refusal;

/// What a new account is: the same for a person and a token.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Customer it belongs to; role `customer` must have one.
    pub customer: Option<String>,
    /// Reseller it belongs to; role `reseller` must have one.
    pub reseller: Option<String>,
}

impl Account {
    /// An account that belongs to the operator.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Account { name: name.into(), role, customer: None, reseller: None }
    }
}

/// Adds a user; returns their password, which is shown once and stored nowhere.
///
/// # Errors
/// The name is taken or wrong, or the database fails.
pub async fn create_user(
    store: &Store,
    actor: &Actor,
    account: Account,
) -> Result<Secret, Refusal> {
    let (password, password_hash) = new_password().await?;
    let name = account.name.clone();
    let user = NewUser {
        name: account.name,
        role: account.role,
        password_hash,
        customer: account.customer,
        reseller: account.reseller,
    };
    let created = store.create_user(actor, &user).await;
    created.map_err(|error| Refusal::of_row(error, "user", &name))?;
    Ok(password)
}

/// Adds an API token; returns its text, which is shown once and stored nowhere.
///
/// # Errors
/// The account is wrong, or the database fails.
pub async fn create_token(
    store: &Store,
    actor: &Actor,
    account: Account,
    expires_at: Option<i64>,
) -> Result<(Token, Secret), Refusal> {
    let text = random_token()?;
    let name = account.name.clone();
    let token = NewToken {
        name: account.name,
        role: account.role,
        hash: fingerprint(text.reveal()),
        customer: account.customer,
        reseller: account.reseller,
        expires_at,
    };
    let created = store.create_token(actor, &token).await;
    let created = created.map_err(|error| Refusal::of_row(error, "token", &name))?;
    Ok((created, text))
}

/// Gives a user a new password, which is shown once and ends their sessions.
///
/// # Errors
/// There is no such user, or the database fails.
pub async fn reset_password(store: &Store, actor: &Actor, name: &str) -> Result<Secret, Refusal> {
    let user = store.user(name).await?.ok_or(Refusal::NotFound("user"))?;
    let (password, hash) = new_password().await?;
    let change = UserChange {
        role: user.role,
        password_hash: Some(hash),
        customer: user.customer,
        reseller: user.reseller,
    };
    let changed = store.update_user(actor, name, &change).await;
    changed.map_err(|error| Refusal::of_row(error, "user", name))?;
    Ok(password)
}

async fn new_password() -> Result<(Secret, Secret), Refusal> {
    let password = random_password()?;
    let hashed = password.clone();
    let hash = tokio::task::spawn_blocking(move || hash_password(&hashed))
        .await
        .map_err(|error| Refusal::Internal(Box::new(error)))??;
    Ok((password, Secret::new(hash)))
}

impl App {
    /// Users by name.
    ///
    /// # Errors
    /// The role does not include users.
    pub async fn users(&self, who: &Principal, page: &Page) -> Result<Paged<User>, Refusal> {
        who.demand(Action::Read, Area::Users)?;
        Ok(self.store().users(page).await?)
    }

    /// One user.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn user(&self, who: &Principal, name: &str) -> Result<User, Refusal> {
        who.demand(Action::Read, Area::Users)?;
        self.store().user(name).await?.ok_or(Refusal::NotFound("user"))
    }

    /// Adds a user and returns the password, shown once.
    ///
    /// # Errors
    /// As [`create_user`].
    pub async fn add_user(&self, who: &Principal, account: Account) -> Result<Secret, Refusal> {
        who.demand(Action::Write, Area::Users)?;
        create_user(self.store(), &who.actor(), account).await
    }

    /// Changes role and belonging of a user.
    ///
    /// # Errors
    /// There is no such user, the account is wrong, or nobody could administer any more.
    pub async fn change_user(&self, who: &Principal, account: Account) -> Result<User, Refusal> {
        who.demand(Action::Write, Area::Users)?;
        let change = UserChange {
            role: account.role,
            password_hash: None,
            customer: account.customer,
            reseller: account.reseller,
        };
        let changed = self.store().update_user(&who.actor(), &account.name, &change).await;
        changed.map_err(|error| Refusal::of_row(error, "user", &account.name))
    }

    /// Gives a user a new password, shown once.
    ///
    /// # Errors
    /// As [`reset_password`].
    pub async fn reset_password(&self, who: &Principal, name: &str) -> Result<Secret, Refusal> {
        who.demand(Action::Write, Area::Users)?;
        reset_password(self.store(), &who.actor(), name).await
    }

    /// Removes a user and ends their sessions.
    ///
    /// # Errors
    /// There is no such user, or they are the last administrator.
    pub async fn delete_user(&self, who: &Principal, name: &str) -> Result<(), Refusal> {
        who.demand(Action::Write, Area::Users)?;
        let deleted = self.store().delete_user(&who.actor(), name).await;
        deleted.map_err(|error| Refusal::of_row(error, "user", name))
    }

    /// Tokens, without their texts.
    ///
    /// # Errors
    /// The role does not include tokens.
    pub async fn tokens(&self, who: &Principal, page: &Page) -> Result<Paged<Token>, Refusal> {
        who.demand(Action::Read, Area::Tokens)?;
        Ok(self.store().tokens(page).await?)
    }

    /// Adds a token and returns its text, shown once.
    ///
    /// # Errors
    /// As [`create_token`].
    pub async fn add_token(
        &self,
        who: &Principal,
        account: Account,
        expires_at: Option<i64>,
    ) -> Result<(Token, Secret), Refusal> {
        who.demand(Action::Write, Area::Tokens)?;
        create_token(self.store(), &who.actor(), account, expires_at).await
    }

    /// Removes a token: requests that carry it are refused from now on.
    ///
    /// # Errors
    /// There is no such token.
    pub async fn delete_token(&self, who: &Principal, id: &str) -> Result<(), Refusal> {
        who.demand(Action::Write, Area::Tokens)?;
        let deleted = self.store().delete_token(&who.actor(), id).await;
        deleted.map_err(|error| Refusal::of_row(error, "token", id))
    }
}
