//! Judges a JSON document by its schema, the same that is published: every unknown member, missing
//! member and wrong type at once, which a deserialiser that stops at the first cannot tell.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Flaw;

/// Levels of nesting that are looked into; no document of ours has more than four.
const MAX_DEPTH: usize = 16;

/// The schema of a document with the ones it refers to.
pub(crate) struct Shape {
    root: Value,
    named: BTreeMap<String, Value>,
}

impl Shape {
    /// The schema of `T`.
    pub(crate) fn of<T: ToSchema>() -> Self {
        let mut schemas = Vec::new();
        T::schemas(&mut schemas);
        let value = |schema| serde_json::to_value(schema).unwrap_or_default();
        Shape {
            root: value(&T::schema()),
            named: schemas.iter().map(|(name, schema)| (name.clone(), value(schema))).collect(),
        }
    }

    /// Everything that does not fit.
    pub(crate) fn flaws(&self, document: &Value) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        self.judge(document, &self.root, &mut Place::default(), &mut flaws);
        flaws
    }

    fn judge(&self, value: &Value, schema: &Value, place: &mut Place, flaws: &mut Vec<Flaw>) {
        if place.0.len() > MAX_DEPTH {
            flaws.push(place.flaw("is nested too deeply"));
            return;
        }
        let schema = self.resolve(schema);
        if let Some(options) = alternatives(schema) {
            self.judge_alternatives(value, options, place, flaws);
            return;
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            for part in parts {
                self.judge(value, part, place, flaws);
            }
            return;
        }
        if let Some(wanted) = mismatch(value, schema) {
            flaws.push(place.flaw(&format!("must be {wanted}")));
            return;
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            let words: Vec<String> =
                words.iter().map(|word| word.as_str().unwrap_or("null").to_owned()).collect();
            flaws.push(place.flaw(&format!("must be one of {}", words.join(", "))));
        }
        match value {
            Value::Object(members) => self.judge_members(members, schema, place, flaws),
            Value::Array(items) => {
                let Some(item_schema) = schema.get("items") else { return };
                for (at, item) in items.iter().enumerate() {
                    place.0.push(at.to_string());
                    self.judge(item, item_schema, place, flaws);
                    place.0.pop();
                }
            }
            _ => {}
        }
    }

    /// A nullable reference is published as "null or that": faults are told of the one that is
    /// not null.
    fn judge_alternatives(
        &self,
        value: &Value,
        options: &[Value],
        place: &mut Place,
        flaws: &mut Vec<Flaw>,
    ) {
        let is_null = |schema: &&Value| schema.get("type") == Some(&Value::from("null"));
        if value.is_null() && options.iter().any(|option| is_null(&option)) {
            return;
        }
        let mut told: Option<Vec<Flaw>> = None;
        for option in options.iter().filter(|option| !is_null(option)) {
            let mut found = Vec::new();
            self.judge(value, option, place, &mut found);
            if told.as_ref().is_none_or(|least| found.len() < least.len()) {
                told = Some(found);
            }
        }
        flaws.extend(told.unwrap_or_default());
    }

    fn judge_members(
        &self,
        members: &Map<String, Value>,
        schema: &Value,
        place: &mut Place,
        flaws: &mut Vec<Flaw>,
    ) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                place.0.push(name.to_owned());
                flaws.push(place.flaw("is missing"));
                place.0.pop();
            }
        }
        for (name, value) in members {
            place.0.push(name.clone());
            match properties.get(name) {
                Some(property) => self.judge(value, property, place, flaws),
                None => {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    let known = known.join(", ");
                    flaws.push(place.flaw(&format!("is unknown here; known are {known}")));
                }
            }
            place.0.pop();
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix("#/components/schemas/"));
        name.and_then(|name| self.named.get(name)).unwrap_or(schema)
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let options = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    options.as_array().map(Vec::as_slice)
}

/// What the schema wants when `value` is of another type or out of bounds.
fn mismatch(value: &Value, schema: &Value) -> Option<String> {
    let types: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = types.iter().any(|wanted| match *wanted {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    });
    if !fits {
        let wanted: Vec<&str> = types.into_iter().map(article).collect();
        return Some(wanted.join(" or "));
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let figure = value.as_f64()?;
    match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if figure < least => Some(format!("at least {least}")),
        (_, Some(most)) if figure > most => Some(format!("at most {most}")),
        _ => None,
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// Where in the document, as the members on the way.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn flaw(&self, message: &str) -> Flaw {
        let mut pointer = String::new();
        for part in &self.0 {
            pointer.push('/');
            pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        }
        Flaw::at(pointer, message)
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use serde_json::json;
    use tensou_store::model::{Group, Trunk};

    fn told(shape: &Shape, document: &serde_json::Value) -> Vec<(String, String)> {
        let flaws = shape.flaws(document).into_iter();
        flaws.map(|flaw| (flaw.pointer, flaw.message)).collect()
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let document = json!({
            "ring_seconds": "20",
            "members": [{ "ring": 5, "delay": 1 }, "yamada"],
            "a/b": true,
        });
        let places: Vec<String> = told(&Shape::of::<Group>(), &document)
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect();
        assert_eq!(
            places,
            ["/id", "/a~1b", "/members/0/delay", "/members/0/ring", "/members/1", "/ring_seconds"]
        );
    }

    #[test]
    fn a_right_document_has_none() {
        let shape = Shape::of::<Trunk>();
        let document = json!({
            "id": "pri", "channels": 23, "default_did": null,
            "identity": { "from": "caller", "asserted": "did", "diversion": true },
            "session_timer": { "session_expires_seconds": 300 }, "transfer": true,
        });
        assert_eq!(told(&shape, &document), []);
    }

    #[test]
    fn wrong_types_are_told_in_words() {
        let told = told(&Shape::of::<Trunk>(), &json!({ "id": 7, "channels": -1, "nat": "no" }));
        assert_eq!(
            told,
            [
                ("/channels".to_owned(), "must be at least 0".to_owned()),
                ("/id".to_owned(), "must be a text".to_owned()),
                ("/nat".to_owned(), "must be true or false".to_owned()),
            ]
        );
        let list = super::tests::told(&Shape::of::<Trunk>(), &json!([1]));
        assert_eq!(list, [(String::new(), "must be an object".to_owned())]);
    }
}
