//! What every page has: language, viewer, menu, asset addresses.

use tensou_store::Role;

use super::assets;
use super::texts::{Language, Texts};
use crate::app::auth::{Action, Area, Permission};

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Texts in the viewer's language.
    pub(crate) t: &'static Texts,
    /// That language.
    pub(crate) language: Language,
    /// Who looks; none before signing in.
    pub(crate) viewer: Option<Viewer>,
    /// Path and query of this page, to come back to.
    pub(crate) here: String,
    /// The node's name.
    pub(crate) node: String,
}

/// Who looks at a page.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// User name.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) role: Role,
    /// What this session's forms carry.
    pub(crate) csrf: String,
}

impl Viewer {
    /// May look at this part.
    pub(crate) fn sees(&self, area: Area) -> bool {
        Permission::allows(self.role, Action::Read, area)
    }
}

/// A group of the menu.
pub(crate) struct NavGroup {
    pub(crate) heading: &'static str,
    pub(crate) items: Vec<NavItem>,
}

/// An entry of the menu.
pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) label: &'static str,
    /// The page shown, or one below it.
    pub(crate) current: bool,
}

impl Page {
    /// The address of an asset, which changes with its content.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// The menu as this viewer may use it.
    pub(crate) fn navigation(&self) -> Vec<NavGroup> {
        let t = self.t;
        let calls = [
            (Area::Calls, self.item("/", "live", t.nav_live)),
            (Area::Cdrs, self.item("/cdrs", "records", t.nav_cdrs)),
            (Area::RoutePreview, self.item("/route", "route", t.nav_route)),
        ];
        let setup = [
            (Area::Dids, self.item("/dids", "number", t.nav_dids)),
            (Area::Customers, self.item("/customers", "customer", t.nav_customers)),
            (Area::Groups, self.item("/groups", "group", t.nav_groups)),
            (Area::Extensions, self.item("/extensions", "phone", t.nav_extensions)),
            (Area::Trunks, self.item("/trunks", "trunk", t.nav_trunks)),
        ];
        let groups = [
            NavGroup { heading: t.nav_calls_heading, items: self.allowed(calls) },
            NavGroup { heading: t.nav_setup_heading, items: self.allowed(setup) },
        ];
        groups.into_iter().filter(|group| !group.items.is_empty()).collect()
    }

    fn allowed(&self, items: impl IntoIterator<Item = (Area, NavItem)>) -> Vec<NavItem> {
        let sees = |area| self.viewer.as_ref().is_some_and(|viewer| viewer.sees(area));
        items.into_iter().filter(|(area, _)| sees(*area)).map(|(_, item)| item).collect()
    }

    fn item(&self, href: &'static str, icon: &'static str, label: &'static str) -> NavItem {
        let path = self.here.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/'));
        NavItem { href, icon, label, current: path == href || (href != "/" && below) }
    }
}

/// A place of ours to go to after a form: `next` when it is a path on this server, `/` when it
/// would lead elsewhere (`//host`, `/\host`, `https:`).
pub(crate) fn local(next: &str) -> &str {
    let inside = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/\\")
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if inside { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(here: &str, role: Role) -> Page {
        Page {
            t: Language::English.texts(),
            language: Language::English,
            viewer: Some(Viewer { name: "aoki".into(), role, csrf: "token".into() }),
            here: here.into(),
            node: "node-1".into(),
        }
    }

    fn items(page: &Page) -> Vec<NavItem> {
        page.navigation().into_iter().flat_map(|group| group.items).collect()
    }

    #[test]
    fn the_menu_marks_the_page_shown_and_no_other() {
        let marked = |here| -> Vec<&str> {
            let items = items(&page(here, Role::Admin));
            items.into_iter().filter(|item| item.current).map(|item| item.href).collect()
        };
        assert_eq!(marked("/"), ["/"]);
        assert_eq!(marked("/cdrs?text=03"), ["/cdrs"]);
        assert_eq!(marked("/cdrs/0198"), ["/cdrs"]);
        assert!(marked("/cdrsx").is_empty());
    }

    #[test]
    fn nobody_is_offered_a_page_that_refuses_them() {
        let offered = |role| -> Vec<&str> {
            items(&page("/", role)).into_iter().map(|item| item.href).collect()
        };
        assert_eq!(offered(Role::Admin).len(), 8);
        assert_eq!(offered(Role::Billing), ["/cdrs", "/customers"]);
        assert!(!offered(Role::Customer).contains(&"/trunks"));
    }

    #[test]
    fn a_form_never_leads_to_another_server() {
        assert_eq!(local("/cdrs?text=03"), "/cdrs?text=03");
        for outside in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nb"]
        {
            assert_eq!(local(outside), "/", "{outside}");
        }
    }
}
