//! Who acts, and whose rows they see.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person or token may do; what each role allows is decided where it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, people included.
    Admin,
    /// Provisioning and calls.
    Operator,
    /// Answers calls for customers.
    Agent,
    /// Records and money.
    Billing,
    /// Looks at everything, changes nothing.
    Readonly,
    /// Its own customers only.
    Reseller,
    /// Its own rows only.
    Customer,
}

impl Role {
    /// Every role, most powerful first.
    pub const ALL: [Role; 7] = [
        Role::Admin,
        Role::Operator,
        Role::Agent,
        Role::Billing,
        Role::Readonly,
        Role::Reseller,
        Role::Customer,
    ];

    /// The word used in the database, REST and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Agent => "agent",
            Role::Billing => "billing",
            Role::Readonly => "readonly",
            Role::Reseller => "reseller",
            Role::Customer => "customer",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// Which rows are visible; to everybody else they do not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every row.
    All,
    /// Rows of the customers of this reseller.
    Reseller(String),
    /// Rows of this customer.
    Customer(String),
}

impl Scope {
    /// The scope of a person or token. `None` when a reseller or customer role names none: such
    /// an account sees nothing and must be refused.
    pub fn of(role: Role, customer: Option<&str>, reseller: Option<&str>) -> Option<Scope> {
        match role {
            Role::Customer => customer.map(|id| Scope::Customer(id.to_owned())),
            Role::Reseller => reseller.map(|id| Scope::Reseller(id.to_owned())),
            Role::Admin | Role::Operator | Role::Agent | Role::Billing | Role::Readonly => {
                Some(Scope::All)
            }
        }
    }
}

/// Who does a write: stands in the audit log, and confines the write to what they see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// User or token name; `system` for what the program does by itself.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// What they see; a write to a row outside it finds no such row.
    pub scope: Scope,
}

impl Actor {
    /// An actor who sees everything: operators, and the command line.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Actor { name: name.into(), role, scope: Scope::All }
    }

    /// The program itself.
    pub fn system() -> Self {
        Actor::new("system", Role::Admin)
    }

    /// The same actor, confined.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }
}
