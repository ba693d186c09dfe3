use tensou_engine::route::Fault;

use super::*;
use crate::model::{Did, Extension, Group, Identity, Member, Trunk};
use crate::shape::{DOCUMENT, Field, Kind};

const OPERATOR: &str = include_str!("../../../examples/operator.toml");

fn errors(text: &str, format: Format) -> Vec<String> {
    let errors = parse_document(text, format).expect_err("the text has mistakes");
    errors.iter().map(DocumentError::to_string).collect()
}

#[test]
fn every_mistake_of_a_toml_document_is_named_with_its_line() {
    let text = r#"
[[trunks]]
id = "gw"
chanels = 23
enabled = "yes"

[[groups]]
id = "g"
members = [{ ring = "destination:a", delay = 3 }, {}]
ring_seconds = -1

[[dids]]
customer = "c"

[trunk]
"#;
    assert_eq!(
        errors(text, Format::Toml),
        [
            "4:1: trunks[0].chanels: unknown field chanels; did you mean channels?",
            "5:11: trunks[0].enabled: expected true or false, found a text",
            "9:38: groups[0].members[0].delay: unknown field delay; possible are ring, \
             delay_seconds, ring_seconds",
            "9:51: groups[0].members[1]: the field ring is missing",
            "10:16: groups[0].ring_seconds: expected 0 to 4294967295",
            "12:1: dids[0]: the field number is missing",
            "15:2: trunk: unknown field trunk; did you mean trunks?",
        ]
    );
}

#[test]
fn every_mistake_of_a_json_document_is_named_with_its_line() {
    let text = "{\n  \"trunks\": [\n    {\"id\": \"gw\",\n     \"chanels\": 23,\n     \"nat\": 1}\n  ],\n  \
                \"dids\": {}\n}";
    assert_eq!(
        errors(text, Format::Json),
        [
            "4:6: trunks[0].chanels: unknown field chanels; did you mean channels?",
            "5:13: trunks[0].nat: expected true or false, found a number",
            "7:11: dids: expected a list of tables, found a table",
        ]
    );
}

#[test]
fn syntax_errors_are_named_with_their_line() {
    assert_eq!(
        errors("[[trunks]]\nid = \"a\nname = x\n", Format::Toml)[0].split(':').next(),
        Some("2")
    );
    let both = errors("id = \n\n[[trunks]\n", Format::Toml);
    assert!(both.len() >= 2, "{both:?}");
    assert!(errors("{\n\"trunks\": [,]\n}", Format::Json)[0].starts_with("2:12: expected value"));
    assert!(
        errors("{\"dids\": [{\"number\": \"1\", \"number\": \"2\"}]}", Format::Json)[0]
            .contains("given twice")
    );
    assert!(errors(&"[".repeat(100_000), Format::Json)[0].starts_with("1:"));
    let deep = format!("{{\"trunks\": {}1{}}}", "[".repeat(40), "]".repeat(40));
    assert!(errors(&deep, Format::Json)[0].contains("nested too deeply"));
}

#[test]
fn the_example_reads_without_a_mistake() {
    let document = parse_document(OPERATOR, Format::Toml).unwrap();
    assert_eq!(document.trunks[0].channels, 23);
    assert_eq!(document.customers.len(), 3);
    assert_eq!(document.dids.len(), 8);
    assert_eq!(document.dids[6].quarantine_until.as_deref(), Some("2027-04-30"));
    assert_eq!(document.schedules.len(), 1);
}

#[test]
fn what_is_written_reads_back_identically_in_both_formats() {
    let document = parse_document(OPERATOR, Format::Toml).unwrap();
    for format in [Format::Toml, Format::Json] {
        let text = render_document(&document, format).unwrap();
        assert_eq!(parse_document(&text, format).unwrap(), document, "{text}");
    }
}

#[test]
fn hostile_texts_survive_the_formats() {
    let mut document = Document::default();
    for text in [
        "'",
        "\\",
        "\"\"\"",
        "${x}",
        "'; DROP TABLE dids;--",
        "\u{1}\u{7f}",
        "a\nb\r\n",
        "転送 \u{1f4de}",
    ] {
        document.customers.push(crate::model::Customer {
            id: "c".into(),
            name: text.into(),
            kana: String::new(),
            contacts: vec![text.into()],
            closing_day: 31,
            state: "active".into(),
            reseller: Some(text.into()),
            note: text.into(),
        });
    }
    for format in [Format::Toml, Format::Json] {
        let text = render_document(&document, format).unwrap();
        assert_eq!(parse_document(&text, format).unwrap(), document, "{text}");
    }
}

#[test]
fn a_fault_is_found_at_its_line() {
    let fault = |kind, key: &str, field: &str| Fault {
        kind,
        key: key.into(),
        field: field.into(),
        message: String::new(),
    };
    let text = "[[dids]]\nnumber = \"03-1234-5678\"\nroute = [\n  { ring = \"group:a\" },\n  \
                { ring = \"group:b\" },\n]\n\n[[groups]]\nid = \"a\"\nmembers = []\n\n[[groups]]\nid = \"a\"\n\
                members = []\n";
    let at = |fault: &Fault| locate(text, Format::Toml, fault);
    assert_eq!(at(&fault("did", "+81312345678", "route[1].ring")), Some((5, 5)));
    assert_eq!(at(&fault("did", "+81312345678", "route[7].ring")), Some((3, 1)));
    assert_eq!(at(&fault("did", "+81312345678", "customer")), Some((1, 1)));
    assert_eq!(at(&fault("group", "a", "members")), Some((10, 1)));
    assert_eq!(at(&fault("group", "a", "id")), Some((13, 1)), "the second of two");
    assert_eq!(at(&fault("group", "z", "members")), None);
    let json = "{\"groups\": [\n {\"id\": \"a\", \"members\": [\n  {\"ring\": \"x\"}]}]}";
    let ring = fault("group", "a", "members[0].ring");
    assert_eq!(locate(json, Format::Json, &ring), Some((3, 4)));
}

/// The shapes and the serde types are written separately; here they meet.
#[test]
fn the_shape_names_exactly_the_fields_of_each_type() {
    let document = parse_document(OPERATOR, Format::Toml).unwrap();
    let json = serde_json::to_value(&document).unwrap();
    let mut compared = 0;
    compare(&json, DOCUMENT, &mut compared);
    assert!(compared > 100, "the example exercises the shapes: {compared}");
}

fn compare(json: &serde_json::Value, fields: &[Field], compared: &mut usize) {
    let object = json.as_object().expect("a table");
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    for name in object.keys() {
        assert!(names.contains(&name.as_str()), "{name} is in the type and not in the shape");
    }
    for field in fields {
        let secret_left_out = field.nullable() && !object.contains_key(field.name);
        assert!(secret_left_out || object.contains_key(field.name), "{} is no field", field.name);
        *compared += 1;
        match (field.kind, object.get(field.name)) {
            (Kind::List(Kind::Table(fields)), Some(serde_json::Value::Array(items))) => {
                items.iter().for_each(|item| compare(item, fields, compared));
            }
            (Kind::Table(fields), Some(value)) => compare(value, fields, compared),
            _ => {}
        }
    }
}

#[test]
fn defaults_of_left_out_fields_are_those_of_the_types() {
    let text = "[[trunks]]\nid = \"t\"\n[[dids]]\nnumber = \"0312345678\"\n[[groups]]\nid = \"g\"\n\
                members = [{ ring = \"extension:e\" }]\n[[extensions]]\nuser = \"e\"\n";
    let document = parse_document(text, Format::Toml).unwrap();
    let trunk: &Trunk = &document.trunks[0];
    assert!(trunk.enabled && trunk.profile.is_none());
    assert_eq!((&trunk.number_format_out, &trunk.identity), (&None, &Identity::default()));
    let did: &Did = &document.dids[0];
    assert_eq!((did.state.as_str(), did.max_calls), ("active", 0));
    let group: &Group = &document.groups[0];
    assert_eq!((group.strategy.as_str(), group.ring_seconds), ("simultaneous", 20));
    assert_eq!(
        group.members,
        [Member { ring: "extension:e".into(), delay_seconds: 0, ring_seconds: 0 }]
    );
    let extension: &Extension = &document.extensions[0];
    assert!(extension.enabled && extension.secret.is_none());
}
