//! Commands that do one thing and end.

use crate::bench::Bench;

const DOCUMENT: &str = r#"
[[customers]]
id = "yamada"
name = "Yamada"

[[trunks]]
id = "gateway"
peers = ["127.0.0.1:5099"]

[[dids]]
number = "+81312345678"
customer = "yamada"
route = [{ ring = "destination:mobile" }]

[[destinations]]
id = "mobile"
customer = "yamada"
number = "+819000000001"
"#;

#[test]
fn exit_codes_tell_wrong_input_wrong_command_line_and_missing_resources_apart() {
    let bench = Bench::new();
    for (arguments, code, text) in [
        (&["--version"][..], 0, "tensou 0."),
        (&["--help"], 0, "Usage"),
        (&["completions", "bash"], 0, "_tensou"),
        (&["migrate"], 0, "up to date"),
        (&["check"], 0, "the provisioning is right"),
        (&["route", "--to", "0312345678"], 2, "--from"),
        (&["route", "--from", "x", "--to", "0312345678"], 2, "digits"),
        (&["nonsense"], 2, "nonsense"),
        (&["check", "--set", "sip.lisen=x"], 1, "sip.listen"),
        (&["check", "--config", "absent.toml"], 1, "absent.toml"),
        (&["check", "--database", "mysql://x"], 1, "database.url"),
        (&["check", "--database", "sqlite:/proc/none/t.db"], 3, "/proc/none"),
        (&["import", "absent.toml"], 1, "absent.toml"),
        (&["cdr", "--from", "yesterday"], 1, "--from"),
        (&["user", "add", "eve", "--role", "root"], 2, "operator"),
    ] {
        let said = bench.run(arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}{}", said.out, said.err);
        let all = said.out + &said.err;
        assert!(all.contains(text), "{arguments:?} does not say {text:?}: {all}");
    }
}

#[test]
fn every_wrong_setting_is_named_with_its_line() {
    let bench = Bench::new();
    bench.write("tensou.toml", "[sip]\ndscp = 99\nlisten = [\"udp:x\"]\n[nodes]\nname = \"a\"\n");
    let said = bench.run(&["check"]);
    assert_eq!(said.code, Some(1));
    for part in
        ["tensou.toml:2: sip.dscp", "tensou.toml:3: sip.listen", "tensou.toml:5: nodes.name"]
    {
        assert!(said.err.contains(part), "{part:?} not in {}", said.err);
    }
}

#[test]
fn what_is_imported_is_exported_and_routed() {
    let bench = Bench::new();
    bench.write("operator.toml", DOCUMENT);
    let dry = bench.run(&["import", "--dry-run", "operator.toml"]);
    assert_eq!(
        (dry.code, dry.out.as_str()),
        (Some(0), "4 rows would be created, 0 changed; 0 are the same.\n")
    );
    let first = bench.run(&["import", "operator.toml"]);
    assert!(first.out.starts_with("4 rows were created"), "{}{}", first.out, first.err);
    let again = bench.run(&["import", "operator.toml"]);
    assert!(again.out.ends_with("4 are the same.\n"), "{}", again.out);

    let export = bench.run(&["export", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&export.out).expect("JSON");
    assert_eq!(document["dids"][0]["number"], "+81312345678");

    let question = ["route", "--from", "09000000002", "--to", "03-1234-5678"];
    let route = bench.run(&question);
    assert_eq!(route.code, Some(0), "{}", route.err);
    for part in ["+81312345678 of yamada", "mobile rings", "by gateway"] {
        assert!(route.out.contains(part), "{part:?} not in {}", route.out);
    }
    let json = bench.run(&[&question[..], &["--json"]].concat());
    let view: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(view["steps"][0]["branches"][0]["destination"], "mobile");
}

#[test]
fn an_import_with_any_fault_changes_nothing_and_names_every_line() {
    let bench = Bench::new();
    let wrong = DOCUMENT.replace("destination:mobile", "destination:nobody")
        + "\n[[dids]]\nnumber = \"+81312345679\"\ncustomer = \"absent\"\n";
    bench.write("operator.toml", &wrong);
    let said = bench.run(&["import", "operator.toml"]);
    assert_eq!(said.code, Some(1));
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines.len() >= 2, "{}", said.err);
    assert!(said.err.contains("nobody") && said.err.contains("absent"), "{}", said.err);
    assert!(lines.iter().all(|line| line.contains("operator.toml:")), "{}", said.err);
    let export = bench.run(&["export", "--format", "json"]);
    assert!(!export.out.contains("yamada"), "{}", export.out);
}

#[test]
fn secrets_are_printed_once_and_exported_only_when_asked() {
    let bench = Bench::new();
    bench.write("e.toml", "[[extensions]]\nuser = \"201\"\nsecret = \"quiet-secret-1\"\n");
    assert_eq!(bench.run(&["import", "e.toml"]).code, Some(0));
    assert!(!bench.run(&["export"]).out.contains("quiet-secret-1"));
    assert!(bench.run(&["export", "--with-secrets"]).out.contains("quiet-secret-1"));
    let token = bench.run(&["token", "add", "ci", "--role", "readonly"]);
    assert_eq!(token.code, Some(0), "{}", token.err);
    assert_eq!(token.out.lines().count(), 1, "the token alone: {}", token.out);
    let user = bench.run(&["user", "add", "hana", "--role", "operator"]);
    assert_eq!(user.out.lines().count(), 2, "{}", user.out);
    assert_eq!(bench.run(&["user", "add", "hana", "--role", "operator"]).code, Some(1));
}

#[test]
fn records_have_a_header_that_spreadsheets_read() {
    let said = Bench::new().run(&["cdr"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.starts_with("\u{feff}id,node,direction,did,"), "{:?}", said.out);
    assert_eq!(Bench::new().run(&["cdr", "--format", "json"]).out, "");
}
