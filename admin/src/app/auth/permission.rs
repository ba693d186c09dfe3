//! Who may do what: the one table.

use tensou_store::Role;

/// A part of the system that a role is admitted to as a whole. Which rows of it somebody sees is
/// a matter of their scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// SIP peers and their channels.
    Trunks,
    /// Who rents DIDs.
    Customers,
    /// Numbers and routes.
    Dids,
    /// What can ring.
    Destinations,
    /// Hunt groups.
    Groups,
    /// SIP accounts.
    Extensions,
    /// Calendars.
    Schedules,
    /// Live calls and their events; writing is hanging up.
    Calls,
    /// Call records.
    Cdrs,
    /// The dry run of a call.
    RoutePreview,
    /// People.
    Users,
    /// API tokens.
    Tokens,
    /// Who changed what.
    Audit,
    /// State of the node.
    System,
}

impl Area {
    /// Every area.
    pub const ALL: [Area; 14] = [
        Area::Trunks,
        Area::Customers,
        Area::Dids,
        Area::Destinations,
        Area::Groups,
        Area::Extensions,
        Area::Schedules,
        Area::Calls,
        Area::Cdrs,
        Area::RoutePreview,
        Area::Users,
        Area::Tokens,
        Area::Audit,
        Area::System,
    ];
}

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Looking.
    Read,
    /// Changing.
    Write,
}

/// The table of permissions.
pub struct Permission;

impl Permission {
    /// The roles that may do `action` in `area`.
    ///
    /// Agents answer for customers: they see calls and numbers. Billing sees records and keeps
    /// customers. Resellers and customers look at what is theirs and change nothing yet: a
    /// destination that a customer may write is a call that somebody else pays for.
    pub const fn required(action: Action, area: Area) -> &'static [Role] {
        use Role::{Admin, Agent, Billing, Customer, Operator, Readonly, Reseller};
        match (action, area) {
            (_, Area::Users | Area::Tokens) => &[Admin],
            (Action::Write, Area::Customers) => &[Admin, Operator, Billing],
            (Action::Write, _) => &[Admin, Operator],
            (Action::Read, Area::Trunks | Area::RoutePreview | Area::Audit | Area::System) => {
                &[Admin, Operator, Readonly]
            }
            (Action::Read, Area::Customers | Area::Cdrs) => {
                &[Admin, Operator, Billing, Readonly, Reseller, Customer]
            }
            (Action::Read, Area::Dids | Area::Calls) => {
                &[Admin, Operator, Agent, Readonly, Reseller, Customer]
            }
            (
                Action::Read,
                Area::Destinations | Area::Groups | Area::Extensions | Area::Schedules,
            ) => &[Admin, Operator, Readonly, Reseller, Customer],
        }
    }

    /// Whether `role` is among them.
    pub fn allows(role: Role, action: Action, area: Area) -> bool {
        Permission::required(action, area).contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Area, Permission};
    use tensou_store::Role;

    /// One line per area: `r` reads, `w` reads and writes, `-` neither; columns as in
    /// `Role::ALL`: admin, operator, agent, billing, readonly, reseller, customer.
    const TABLE: [(Area, &str); 14] = [
        (Area::Trunks, "ww--r--"),
        (Area::Customers, "ww-wrrr"),
        (Area::Dids, "wwr-rrr"),
        (Area::Destinations, "ww--rrr"),
        (Area::Groups, "ww--rrr"),
        (Area::Extensions, "ww--rrr"),
        (Area::Schedules, "ww--rrr"),
        (Area::Calls, "wwr-rrr"),
        (Area::Cdrs, "ww-rrrr"),
        (Area::RoutePreview, "ww--r--"),
        (Area::Users, "w------"),
        (Area::Tokens, "w------"),
        (Area::Audit, "ww--r--"),
        (Area::System, "ww--r--"),
    ];

    #[test]
    fn the_table_of_permissions_is_the_reviewed_one() {
        for ((area, row), known) in TABLE.iter().zip(Area::ALL) {
            assert_eq!(*area, known);
            for (role, cell) in Role::ALL.into_iter().zip(row.chars()) {
                let reads = Permission::allows(role, Action::Read, *area);
                let writes = Permission::allows(role, Action::Write, *area);
                assert_eq!((reads, writes), (cell != '-', cell == 'w'), "{area:?} {role:?}");
            }
        }
    }
}
