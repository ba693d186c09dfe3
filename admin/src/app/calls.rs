//! Live calls: who sees which, and hanging up.

use std::collections::BTreeSet;

use serde::Deserialize;
use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::{CallId, Key, OperatorCommand};
use tensou_store::model::{Customer, Extension};
use tensou_store::{Filter, MAX_PAGE, Order, Page, Scope};
use utoipa::ToSchema;

use super::App;
use super::auth::{Action, Area, Principal};
use super::refusal::{Flaw, Refusal};
use crate::board::{CallState, LiveCall, Notice};

/// Who shall take the place of the callee.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferOrder {
    /// A number in any form people write it, or the user of an extension of the call's customer.
    pub to: String,
}

/// Which calls somebody sees, worked out once for many calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All.
    All,
    /// Those of DIDs of these customers.
    Customers(BTreeSet<Key>),
}

impl Visible {
    /// Whether a call or notice of `customer` is among them.
    pub fn includes(&self, customer: Option<&Key>) -> bool {
        match self {
            Visible::All => true,
            Visible::Customers(own) => customer.is_some_and(|customer| own.contains(customer)),
        }
    }

    /// Whether a notice may be told.
    pub fn includes_notice(&self, notice: &Notice) -> bool {
        self.includes(notice.customer.as_ref())
    }
}

/// Which live calls; every field given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallQuery {
    /// Customer id.
    pub customer: Option<String>,
    /// The DID called or presented.
    pub did: Option<E164>,
    /// Who calls.
    pub caller: Option<E164>,
    /// A trunk it came by or leaves by.
    pub trunk: Option<String>,
    /// How far it has come.
    pub state: Option<CallState>,
}

impl CallQuery {
    fn names(&self, call: &LiveCall) -> bool {
        let is = |wanted: &Option<String>, key: Option<&Key>| {
            wanted.as_deref().is_none_or(|id| key.is_some_and(|key| key.as_str() == id))
        };
        let by_trunk = is(&self.trunk, call.trunk_in.as_ref())
            || call.legs.iter().any(|leg| is(&self.trunk, leg.trunk_out.as_ref()));
        by_trunk
            && is(&self.customer, call.customer.as_ref())
            && (self.did.is_none() || self.did == call.did)
            && (self.caller.is_none() || self.caller == call.caller.number)
            && self.state.is_none_or(|state| state == call.state)
    }
}

impl App {
    /// What `who` sees of live calls and events.
    ///
    /// # Errors
    /// The role does not include calls.
    pub async fn visible(&self, who: &Principal) -> Result<Visible, Refusal> {
        who.demand(Action::Read, Area::Calls)?;
        match who.scope() {
            Scope::All => Ok(Visible::All),
            Scope::Customer(id) => Ok(Visible::Customers(BTreeSet::from([Key::from(id.as_str())]))),
            Scope::Reseller(_) => self.customers_within(who.scope()).await,
        }
    }

    async fn customers_within(&self, scope: &Scope) -> Result<Visible, Refusal> {
        let mut own = BTreeSet::new();
        let mut page = Page::first(MAX_PAGE);
        loop {
            let filter = Filter::within(scope.clone());
            let customers = self.store().list::<Customer>(&filter, &page).await?;
            own.extend(customers.items.iter().map(|found| Key::from(found.row.id.as_str())));
            match customers.next {
                Some(next) => page.after = Some(next),
                None => return Ok(Visible::Customers(own)),
            }
        }
    }

    /// Live calls that `who` sees and `query` names, oldest first, at most `limit` after the
    /// call `after`.
    ///
    /// # Errors
    /// The role does not include calls.
    pub async fn live_calls(
        &self,
        who: &Principal,
        query: &CallQuery,
        after: Option<CallId>,
        limit: usize,
    ) -> Result<Vec<LiveCall>, Refusal> {
        let visible = self.visible(who).await?;
        let wanted =
            |call: &LiveCall| visible.includes(call.customer.as_ref()) && query.names(call);
        Ok(self.board().calls(after, limit, wanted))
    }

    /// One live call.
    ///
    /// # Errors
    /// There is none that `who` sees.
    pub async fn live_call(&self, who: &Principal, id: CallId) -> Result<LiveCall, Refusal> {
        let visible = self.visible(who).await?;
        let call = self.board().call(id);
        call.filter(|call| visible.includes(call.customer.as_ref()))
            .ok_or(Refusal::NotFound("call"))
    }

    /// Asks the engine that has a call to end it now.
    ///
    /// # Errors
    /// There is no such call, or the engine takes no commands now.
    pub async fn hang_up(&self, who: &Principal, id: CallId) -> Result<(), Refusal> {
        who.demand(Action::Write, Area::Calls)?;
        match self.live_call(who, id).await?.node {
            Some(node) => {
                let order = Order::HangUp { node: node.as_str().to_owned(), call: id };
                self.store().order(&order).await?;
            }
            None => self
                .commands()
                .try_send(OperatorCommand::HangUp(id))
                .map_err(|_| Refusal::Unavailable("the engine takes no commands now: try again"))?,
        }
        tracing::info!(call = %id, by = who.name(), "hang-up asked for");
        Ok(())
    }

    /// Asks the engine that has a call to put somebody else in the place of its callee.
    ///
    /// # Errors
    /// There is no such call, nobody talks in it yet, `to` is nobody whom its customer may call,
    /// or the engine takes no commands now.
    pub async fn transfer(
        &self,
        who: &Principal,
        id: CallId,
        order: &TransferOrder,
    ) -> Result<(), Refusal> {
        who.demand(Action::Write, Area::Calls)?;
        let call = self.live_call(who, id).await?;
        if call.state != CallState::Talking {
            return Err(Refusal::Conflict("nobody talks in this call yet".to_owned()));
        }
        let to = self.target(&order.to, call.customer.as_ref()).await?;
        match call.node {
            Some(node) => {
                let order = Order::Transfer { node: node.as_str().to_owned(), call: id, to };
                self.store().order(&order).await?;
            }
            None => self
                .commands()
                .try_send(OperatorCommand::Transfer { call: id, to: to.into() })
                .map_err(|_| Refusal::Unavailable("the engine takes no commands now: try again"))?,
        }
        tracing::info!(call = %id, by = who.name(), "transfer asked for");
        Ok(())
    }

    /// An extension of the customer, or a number in E.164.
    async fn target(&self, to: &str, customer: Option<&Key>) -> Result<String, Refusal> {
        let extension = self.store().get::<Extension>(to, &Scope::All).await?;
        let own = |row: &Extension| row.customer.as_deref() == customer.map(Key::as_str);
        match (extension, parse_e164(to)) {
            (Some(found), _) if own(&found.row) => Ok(found.row.user),
            (_, Ok(number)) => Ok(number.to_string()),
            (_, Err(_)) => {
                let message = "this is no telephone number and no extension of the call's customer";
                Err(Refusal::Invalid(vec![Flaw::at("/to", message)]))
            }
        }
    }
}
