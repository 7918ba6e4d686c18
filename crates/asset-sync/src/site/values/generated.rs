//! The files that are made of the values.

use std::collections::BTreeMap;

/// A JSON object of the values, members sorted by name, one a line.
pub(in crate::site) fn env_json(values: &BTreeMap<String, String>) -> Vec<u8> {
    let mut text = object(values);
    text.push('\n');
    text.into_bytes()
}

/// A classic script that sets `globalThis.__ENV__` to a frozen object of the values. It works in
/// pages (`window.__ENV__`) and in workers.
pub(in crate::site) fn env_js(values: &BTreeMap<String, String>) -> Vec<u8> {
    // `<` and the line separators are escaped, so that the text is safe wherever it is pasted.
    let object = object(values).replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    format!("globalThis.__ENV__ = Object.freeze({object});\n").into_bytes()
}

fn object(values: &BTreeMap<String, String>) -> String {
    if values.is_empty() {
        return "{}".to_owned();
    }
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<_> = values.iter().map(|(n, v)| format!("  {}: {}", string(n), string(v))).collect();
    format!("{{\n{}\n}}", members.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn generated_bytes_are_stable() {
        let values = [("WEBAPP_B", "</script>\u{2028}"), ("WEBAPP_A", "\"x\"\n")];
        let values = values.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        insta::assert_snapshot!(String::from_utf8(env_js(&values)).unwrap(), @r#"
        globalThis.__ENV__ = Object.freeze({
          "WEBAPP_A": "\"x\"\n",
          "WEBAPP_B": "\u003c/script>\u2028"
        });
        "#);
        assert_eq!(env_json(&BTreeMap::new()), b"{}\n");
        assert_eq!(env_js(&BTreeMap::new()), b"globalThis.__ENV__ = Object.freeze({});\n");
    }

    proptest! {
        #[test]
        fn what_is_generated_reads_back(values in prop::collection::btree_map("[A-Z]{1,5}", any::<String>(), 0..5)) {
            let back: BTreeMap<String, String> = serde_json::from_slice(&env_json(&values)).unwrap();
            prop_assert_eq!(&back, &values);
            let script = String::from_utf8(env_js(&values)).unwrap();
            let object = script.strip_prefix("globalThis.__ENV__ = Object.freeze(").unwrap().strip_suffix(");\n").unwrap();
            let unsafe_ones = ['<', '\u{2028}', '\u{2029}'];
            prop_assert!(!object.contains(unsafe_ones));
            let back: BTreeMap<String, String> = serde_json::from_str(object).unwrap();
            prop_assert_eq!(&back, &values);
        }
    }
}
