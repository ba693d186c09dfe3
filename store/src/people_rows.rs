//! Rows of users, tokens and sessions.

use serde_json::json;
use tensou_engine::Secret;

use crate::access::{Actor, Role};
use crate::audit::{Change, log};
use crate::error::StoreError;
use crate::listing::{Page, Paged};
use crate::people::{NewToken, NewUser, Session, Token, User, UserChange, check_account};
use crate::sql::{Row, Tx};
use crate::store::{Store, new_id, now_ms};

const USER: &str =
    "SELECT name, role, password_hash, customer, reseller, created_at, updated_at FROM users";
const TOKEN: &str = "SELECT id, name, role, customer, reseller, expires_at, created_at FROM tokens";

impl Store {
    /// Creates a user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken, [`StoreError::Invalid`] with every fault.
    pub async fn create_user(&self, actor: &Actor, new: &NewUser) -> Result<User, StoreError> {
        let faults = check_account(
            "user",
            &new.name,
            new.role,
            new.customer.as_deref(),
            new.reseller.as_deref(),
        );
        refuse(faults)?;
        let mut tx = self.database.write().await?;
        customer_exists(&mut tx, "user", &new.name, new.customer.as_deref()).await?;
        let now = now_ms();
        let sql = "INSERT INTO users (name, role, password_hash, customer, reseller, created_at, \
                   updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING";
        let values = [
            (&new.name).into(),
            new.role.as_str().into(),
            new.password_hash.reveal().into(),
            (&new.customer).into(),
            (&new.reseller).into(),
            now.into(),
        ];
        if tx.execute(sql, &values).await? == 0 {
            return Err(StoreError::Conflict(format!("user {}", new.name)));
        }
        let user = User {
            name: new.name.clone(),
            role: new.role,
            password_hash: new.password_hash.clone(),
            customer: new.customer.clone(),
            reseller: new.reseller.clone(),
            created_at: now,
            updated_at: now,
        };
        log(&mut tx, actor, user_change("create", None, Some(&user), &user.name)).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// The user with this name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let row = self.database.row(format!("{USER} WHERE name = $1"), &[name.into()]).await?;
        row.as_ref().map(read_user).transpose()
    }

    /// A page of users by name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn users(&self, page: &Page) -> Result<Paged<User>, StoreError> {
        let after = page.after.as_deref().unwrap_or_default();
        let sql = format!("{USER} WHERE name > $1 ORDER BY name LIMIT {}", page.size() + 1);
        let rows = self.database.rows(sql, &[after.into()]).await?;
        let items = rows.iter().map(read_user).collect::<Result<Vec<_>, _>>()?;
        Ok(Paged::cut(items, page.size(), |user| user.name.clone()))
    }

    /// How many users there are.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        let row = self.database.row("SELECT COUNT(*) FROM users", &[]).await?;
        row.map_or(Ok(0), |row| row.int(0).map(i64::unsigned_abs))
    }

    /// Changes a user. A new password or role ends the user's sessions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Invalid`], and [`StoreError::LastAdmin`] when
    /// nobody could administer the system afterwards.
    pub async fn update_user(
        &self,
        actor: &Actor,
        name: &str,
        change: &UserChange,
    ) -> Result<User, StoreError> {
        let (customer, reseller) = (change.customer.as_deref(), change.reseller.as_deref());
        refuse(check_account("user", name, change.role, customer, reseller))?;
        let mut tx = self.database.write().await?;
        lock_users(&mut tx).await?;
        let before = find_user(&mut tx, name).await?.ok_or(StoreError::NotFound)?;
        customer_exists(&mut tx, "user", name, customer).await?;
        let after = User {
            role: change.role,
            password_hash: change.password_hash.clone().unwrap_or(before.password_hash.clone()),
            customer: change.customer.clone(),
            reseller: change.reseller.clone(),
            updated_at: now_ms(),
            ..before.clone()
        };
        let sql = "UPDATE users SET role = $2, password_hash = $3, customer = $4, \
                   reseller = $5, updated_at = $6 WHERE name = $1";
        let values = [
            name.into(),
            after.role.as_str().into(),
            after.password_hash.reveal().into(),
            (&after.customer).into(),
            (&after.reseller).into(),
            after.updated_at.into(),
        ];
        tx.execute(sql, &values).await?;
        keep_an_admin(&mut tx, &before).await?;
        if change.password_hash.is_some() || before.role != after.role {
            tx.execute("DELETE FROM sessions WHERE \"user\" = $1", &[name.into()]).await?;
        }
        log(&mut tx, actor, user_change("replace", Some(&before), Some(&after), name)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Deletes a user and ends their sessions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::LastAdmin`] when nobody could administer the
    /// system afterwards.
    pub async fn delete_user(&self, actor: &Actor, name: &str) -> Result<(), StoreError> {
        let mut tx = self.database.write().await?;
        lock_users(&mut tx).await?;
        let before = find_user(&mut tx, name).await?.ok_or(StoreError::NotFound)?;
        tx.execute("DELETE FROM users WHERE name = $1", &[name.into()]).await?;
        keep_an_admin(&mut tx, &before).await?;
        log(&mut tx, actor, user_change("delete", Some(&before), None, name)).await?;
        tx.commit().await
    }

    /// Creates a token.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the hash is stored already, [`StoreError::Invalid`] with
    /// every fault.
    pub async fn create_token(&self, actor: &Actor, new: &NewToken) -> Result<Token, StoreError> {
        let (customer, reseller) = (new.customer.as_deref(), new.reseller.as_deref());
        refuse(check_account("token", &new.name, new.role, customer, reseller))?;
        let mut tx = self.database.write().await?;
        customer_exists(&mut tx, "token", &new.name, customer).await?;
        let token = Token {
            id: new_id(),
            name: new.name.clone(),
            role: new.role,
            customer: new.customer.clone(),
            reseller: new.reseller.clone(),
            expires_at: new.expires_at,
            created_at: now_ms(),
        };
        let sql = "INSERT INTO tokens (id, name, role, hash, customer, reseller, expires_at, \
                   created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let values = [
            (&token.id).into(),
            (&token.name).into(),
            token.role.as_str().into(),
            (&new.hash).into(),
            (&token.customer).into(),
            (&token.reseller).into(),
            token.expires_at.into(),
            token.created_at.into(),
        ];
        if tx.execute(sql, &values).await? == 0 {
            return Err(StoreError::Conflict("this token".into()));
        }
        log(&mut tx, actor, token_change("create", &token)).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// The token with this hash, unless it has expired.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>, StoreError> {
        let sql = format!("{TOKEN} WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)");
        let row = self.database.row(sql, &[hash.into(), now_ms().into()]).await?;
        row.as_ref().map(read_token).transpose()
    }

    /// A page of tokens, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn tokens(&self, page: &Page) -> Result<Paged<Token>, StoreError> {
        let after = page.after.as_deref().unwrap_or_default();
        let sql = format!("{TOKEN} WHERE id > $1 ORDER BY id LIMIT {}", page.size() + 1);
        let rows = self.database.rows(sql, &[after.into()]).await?;
        let items = rows.iter().map(read_token).collect::<Result<Vec<_>, _>>()?;
        Ok(Paged::cut(items, page.size(), |token| token.id.clone()))
    }

    /// Deletes a token; requests with it are refused from now on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none with this id.
    pub async fn delete_token(&self, actor: &Actor, id: &str) -> Result<(), StoreError> {
        let mut tx = self.database.write().await?;
        let row = tx.row(format!("{TOKEN} WHERE id = $1"), &[id.into()]).await?;
        let token = read_token(&row.ok_or(StoreError::NotFound)?)?;
        tx.execute("DELETE FROM tokens WHERE id = $1", &[id.into()]).await?;
        log(&mut tx, actor, token_change("delete", &token)).await?;
        tx.commit().await
    }

    /// Starts a session of a browser: `hash` is the SHA-256 of its cookie.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails or there is no such user.
    pub async fn create_session(
        &self,
        hash: &str,
        user: &str,
        csrf: &Secret,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO sessions (hash, \"user\", csrf, created_at, expires_at) \
                   VALUES ($1, $2, $3, $4, $5)";
        let values =
            [hash.into(), user.into(), csrf.reveal().into(), now_ms().into(), expires_at.into()];
        self.database.execute(sql, &values).await.map(|_| ())
    }

    /// The session with this hash, unless it has expired.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn session(&self, hash: &str) -> Result<Option<Session>, StoreError> {
        let sql = "SELECT hash, \"user\", csrf, created_at, expires_at FROM sessions \
                   WHERE hash = $1 AND expires_at > $2";
        let row = self.database.row(sql, &[hash.into(), now_ms().into()]).await?;
        let read = |row: Row| {
            Ok(Session {
                hash: row.text(0)?,
                user: row.text(1)?,
                csrf: Secret::new(row.text(2)?),
                created_at: row.int(3)?,
                expires_at: row.int(4)?,
            })
        };
        row.map(read).transpose()
    }

    /// Ends a session; no error when there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn delete_session(&self, hash: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM sessions WHERE hash = $1";
        self.database.execute(sql, &[hash.into()]).await.map(|_| ())
    }

    /// Removes sessions and tokens that have expired; returns how many.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let now = now_ms();
        let sessions = "DELETE FROM sessions WHERE expires_at <= $1";
        let tokens = "DELETE FROM tokens WHERE expires_at <= $1";
        Ok(self.database.execute(sessions, &[now.into()]).await?
            + self.database.execute(tokens, &[now.into()]).await?)
    }
}

/// Two nodes that each remove one of the last two administrators must see each other.
async fn lock_users(tx: &mut Tx) -> Result<(), StoreError> {
    tx.execute("UPDATE meta SET revision = revision", &[]).await.map(|_| ())
}

async fn keep_an_admin(tx: &mut Tx, before: &User) -> Result<(), StoreError> {
    if before.role != Role::Admin {
        return Ok(());
    }
    let sql = "SELECT name FROM users WHERE role = 'admin' LIMIT 1";
    tx.row(sql, &[]).await?.map(|_| ()).ok_or(StoreError::LastAdmin)
}

async fn find_user(tx: &mut Tx, name: &str) -> Result<Option<User>, StoreError> {
    let row = tx.row(format!("{USER} WHERE name = $1"), &[name.into()]).await?;
    row.as_ref().map(read_user).transpose()
}

async fn customer_exists(
    tx: &mut Tx,
    kind: &'static str,
    key: &str,
    customer: Option<&str>,
) -> Result<(), StoreError> {
    let Some(customer) = customer else { return Ok(()) };
    if tx.row("SELECT id FROM customers WHERE id = $1", &[customer.into()]).await?.is_some() {
        return Ok(());
    }
    Err(StoreError::Invalid(vec![tensou_engine::route::Fault {
        kind,
        key: key.to_owned(),
        field: "customer".into(),
        message: format!("there is no customer {customer}"),
    }]))
}

fn refuse(faults: Vec<tensou_engine::route::Fault>) -> Result<(), StoreError> {
    if faults.is_empty() { Ok(()) } else { Err(StoreError::Invalid(faults)) }
}

/// Hashes do not reach the log.
fn user_change<'a>(
    action: &'static str,
    before: Option<&User>,
    after: Option<&User>,
    name: &'a str,
) -> Change<'a> {
    let shown = |user: &User| {
        json!({
            "name": user.name,
            "role": user.role,
            "customer": user.customer,
            "reseller": user.reseller,
        })
    };
    let (before, after) = (before.map(shown), after.map(shown));
    Change { action, resource: "user", id: name, before, after }
}

fn token_change<'a>(action: &'static str, token: &'a Token) -> Change<'a> {
    let shown = json!({
        "name": token.name,
        "role": token.role,
        "customer": token.customer,
        "reseller": token.reseller,
        "expires_at": token.expires_at,
    });
    let (before, after) =
        if action == "delete" { (Some(shown), None) } else { (None, Some(shown)) };
    Change { action, resource: "token", id: &token.id, before, after }
}

fn read_role(word: &str) -> Result<Role, StoreError> {
    Role::parse(word).ok_or_else(|| StoreError::Corrupt(format!("role {word}")))
}

fn read_user(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        name: row.text(0)?,
        role: read_role(&row.text(1)?)?,
        password_hash: Secret::new(row.text(2)?),
        customer: row.text_or_null(3)?,
        reseller: row.text_or_null(4)?,
        created_at: row.int(5)?,
        updated_at: row.int(6)?,
    })
}

fn read_token(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.text(0)?,
        name: row.text(1)?,
        role: read_role(&row.text(2)?)?,
        customer: row.text_or_null(3)?,
        reseller: row.text_or_null(4)?,
        expires_at: row.int_or_null(5)?,
        created_at: row.int(6)?,
    })
}
