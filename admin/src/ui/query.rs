//! Query strings of links.

/// A value as it stands in a query (RFC 3986 3.4): everything but unreserved characters encoded.
pub(crate) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `path?name=value&…` with the pairs that have a value.
pub(crate) fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let given: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_any_value_and_leaves_out_empty_ones() {
        assert_eq!(link("/cdrs", &[("did", ""), ("text", "")]), "/cdrs");
        assert_eq!(
            link("/cdrs", &[("text", "a&b=<é>"), ("did", ""), ("after", "1.2-3")]),
            "/cdrs?text=a%26b%3D%3C%C3%A9%3E&after=1.2-3"
        );
    }
}
