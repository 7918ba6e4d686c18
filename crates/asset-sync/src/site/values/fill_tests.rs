use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};
use proptest::prelude::*;

use super::*;

fn filling(values: &[(&str, &str)]) -> Filling {
    let values = values.iter().map(|(n, v)| (format!("WEBAPP_{n}"), (*v).to_owned())).collect();
    Filling { prefix: "WEBAPP_".into(), values }
}

fn fill(kind: Kind, source: &str, values: &[(&str, &str)]) -> Result<String, String> {
    match filling(values).fill(kind, source.as_bytes()) {
        Ok(filled) => Ok(String::from_utf8(filled.bytes.into_owned()).unwrap()),
        Err(faults) => {
            Err(faults.iter().map(|(line, fault)| format!("{line}: {fault}")).collect::<Vec<_>>().join("\n"))
        }
    }
}

const TRICKY: &str = "<b> & \"it's\" </script> --> &amp; \u{e9}";

#[test]
fn html_takes_values_in_text_and_quoted_attributes() {
    let source = "<!doctype html><meta content=\"__WEBAPP_A__\"><p title='x __WEBAPP_A__ y'>\n__WEBAPP_A__ \
         <title>__WEBAPP_A__</title><textarea>__WEBAPP_A__</textarea><noscript><img alt=\"__WEBAPP_A__\"></noscript>\
         <a href=\"__WEBAPP_B__/x?a=1&amp;b=__WEBAPP_B__\">__WEBAPP_B____WEBAPP_B__";
    let escaped = "&lt;b&gt; &amp; &quot;it&#39;s&quot; &lt;/script&gt; --&gt; &amp;amp; \u{e9}";
    let expected = source.replace("__WEBAPP_A__", escaped).replace("__WEBAPP_B__", "https://b.example");
    assert_eq!(fill(Kind::Html, source, &[("A", TRICKY), ("B", "https://b.example")]).unwrap(), expected);
}

#[test]
fn html_refuses_every_other_place_at_once() {
    let source = "<script>var a = '__WEBAPP_A__'</script>\n<style>a { b: __WEBAPP_A__ }</style>\n\
         <!-- __WEBAPP_A__ -->\n<p id=__WEBAPP_A__>\n<__WEBAPP_A__>\n<p __WEBAPP_A__=\"x\">\n\
         <p onclick=\"f('__WEBAPP_A__')\">\n<p style=\"color: __WEBAPP_A__\">\n<a href=\" java&#10;script:__WEBAPP_A__\">\n\
         <iframe srcdoc=\"__WEBAPP_A__\">__WEBAPP_A__</iframe>\n<p>&__WEBAPP_A__; &#x__WEBAPP_A__ &amp;__WEBAPP_A__</p>\n\
         __WEBAPP_NONE__ __WEBAPP_a__ __WEBAPP_\n</p __WEBAPP_A__>\n<!doctype __WEBAPP_A__>\n\
         <svg><style>__WEBAPP_A__</style><script>__WEBAPP_A__</script></svg><p title=\"a\"__WEBAPP_A__>\n<title></ti__WEBAPP_A__</title>";
    let faults = fill(Kind::Html, source, &[("A", "s3cret")]).unwrap_err();
    assert!(!faults.contains("s3cret"));
    let short: Vec<_> = faults.lines().map(|l| l.split([',', ':']).take(2).collect::<Vec<_>>().join(":")).collect();
    insta::assert_snapshot!(short.join("\n"), @r#"
    1: __WEBAPP_A__ is in a script
    2: __WEBAPP_A__ is in a style sheet
    3: __WEBAPP_A__ is in a comment
    4: __WEBAPP_A__ is in an attribute without quotes
    5: __WEBAPP_A__ is part of a tag
    6: __WEBAPP_A__ is part of a tag
    7: __WEBAPP_A__ is in an event handler
    8: __WEBAPP_A__ is in a `style` attribute
    9: __WEBAPP_A__ is in a `javascript
    10: __WEBAPP_A__ is in a `srcdoc` attribute
    10: __WEBAPP_A__ is in an element as `<iframe>` or `<xmp>`
    11: __WEBAPP_A__ follows an `&` that could be the start of a character reference
    11: __WEBAPP_A__ follows an `&` that could be the start of a character reference
    12: __WEBAPP_NONE__ has no value
    12: __WEBAPP_ is not a whole placeholder
    12: __WEBAPP_ is not a whole placeholder
    13: __WEBAPP_A__ is part of a tag
    14: __WEBAPP_A__ is part of a tag
    15: __WEBAPP_A__ is in a style sheet
    15: __WEBAPP_A__ is in a script
    15: __WEBAPP_A__ is part of a tag
    16: __WEBAPP_A__ is part of a tag
    "#);
}

#[test]
fn json_takes_values_in_strings() {
    let source =
        "\u{feff}{\"a\": \"x__WEBAPP_A__\\\"__WEBAPP_A__\", \"__WEBAPP_B__\": [1, \"\\\\\", \"__WEBAPP_A__\"]}";
    let value = "\"\\ \n\u{1}\u{e9}/";
    let filled = fill(Kind::Json, source, &[("A", value), ("B", "key")]).unwrap();
    let read: serde_json::Value = serde_json::from_str(filled.trim_start_matches('\u{feff}')).unwrap();
    assert_eq!(read, serde_json::json!({ "a": format!("x{value}\"{value}"), "key": [1, "\\", value] }));
}

#[test]
fn json_refuses_other_places() {
    let refused = |source| fill(Kind::Json, source, &[("A", "1")]).unwrap_err();
    assert!(refused("{\"a\":\n __WEBAPP_A__}").starts_with("2: __WEBAPP_A__ is not in a string"));
    assert!(refused("{\"a\": \"__WEBAPP_A__\"").contains("the file is not JSON: EOF"));
    assert!(refused("{\"a\": \"__WEBAPP_B__\"}").contains("set the variable WEBAPP_B"));
    assert_eq!(fill(Kind::Json, "not json", &[("A", "1")]).unwrap(), "not json", "untouched where nothing is to fill");
}

#[test]
fn other_kinds_are_refused_only_where_they_hold_a_placeholder() {
    assert_eq!(fill(Kind::Other, "a()", &[]).unwrap(), "a()");
    assert!(fill(Kind::Other, "a('__WEBAPP_A__')", &[("A", "1")]).unwrap_err().contains("neither HTML nor JSON"));
    let latin = filling(&[("A", "1")]).fill(Kind::Html, b"\xe9 __WEBAPP_A__").unwrap_err();
    assert_eq!(latin[0].1.fault, PlaceholderFault::NotUtf8);
}

#[test]
fn kinds_follow_the_content_type() {
    for (content_type, expected) in [
        ("text/html; charset=utf-8", Kind::Html),
        ("Application/JSON", Kind::Json),
        ("application/manifest+json", Kind::Json),
        ("application/xhtml+xml", Kind::Other),
        ("text/javascript", Kind::Other),
    ] {
        assert_eq!(Kind::of(content_type), expected, "{content_type}");
    }
}

/// The document as a browser's tokenizer gives it, without errors.
fn tokens(source: &str) -> Vec<Token> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let tokens = Tokenizer::new_with_emitter(source, emitter).map(Result::unwrap);
    tokens.filter(|token| !matches!(token, Token::Error(_))).collect()
}

/// With every placeholder's text replaced in the parsed document, not in its source.
fn expected_tokens(source: &str, value: &str) -> Vec<Token> {
    let replace = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap().replace("__WEBAPP_A__", value);
        text.into_bytes()
    };
    let mut tokens = tokens(source);
    for token in &mut tokens {
        match token {
            Token::String(text) => text.value = replace(&text.value).into(),
            Token::StartTag(tag) => {
                for attribute in tag.attributes.values_mut() {
                    attribute.value = replace(&attribute.value).into();
                }
            }
            _ => {}
        }
    }
    tokens.retain(|token| !matches!(token, Token::String(text) if text.is_empty()));
    tokens
}

fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "__WEBAPP_A__",
        "<p>",
        "</p>",
        "<a href=\"",
        "<a title='",
        "\"",
        "'",
        ">",
        "<",
        "&",
        "&lt;",
        "&am",
        "#",
        "x",
        " ",
        "=",
        "/",
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "<textarea>",
        "</textarea>",
        "<!--",
        "-->",
        "<!",
        "\r\n",
        "\r",
        "\n",
        "\u{e9}",
        "\u{1f600}",
        "<input value=",
        "<svg>",
        "</svg>",
        "<br/>",
        "]]>",
        "<![CDATA[",
        "&#x41;",
        "\u{0}",
        "<plaintext",
        "<iframe>",
        "</iframe>",
        "onclick=\"",
        "<noscript>",
        "</noscript>",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Pieces of values that would do harm if they were not escaped.
fn value() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "\"",
        "'",
        "amp;",
        "lt",
        "#60;",
        "</script>",
        "-->",
        "\r",
        "\n",
        " ",
        "=",
        "a",
        "\\",
        "\u{e9}",
        "\u{2028}",
        "{{",
        "\u{7f}",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_line_feed_after_the_files_carriage_return_stays_a_line_of_its_own() {
    assert_eq!(fill(Kind::Html, "a\r__WEBAPP_A__", &[("A", "\nb")]).unwrap(), "a\r&#10;b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the template and the value: the document differs from the template in the
    /// placeholder's text alone, or nothing is filled in.
    #[test]
    fn html_differs_in_the_values_alone(source in soup(), value in value()) {
        // The tokenizer of the test has no notion of foreign content and scripting.
        let source = source.replace("svg>", "b>").replace("noscript>", "i>");
        // Around an empty value a carriage return and a line feed become one line end.
        let source = source.replace('\r', "\n");
        if let Ok(filled) = fill(Kind::Html, &source, &[("A", &value)]) {
            prop_assert_eq!(tokens(&filled), expected_tokens(&source, &value), "{}", filled);
        }
    }

    #[test]
    fn bytes_outside_of_placeholders_stay(source in soup(), value in value()) {
        let filling = filling(&[("A", &value)]);
        if let Ok(filled) = filling.fill(Kind::Html, source.as_bytes()) {
            let mut rest = filled.bytes.as_ref();
            let mut at = 0;
            let mut original: Vec<u8> = Vec::new();
            for span in &filled.inserted {
                original.extend(&filled.bytes[at..span.start]);
                original.extend(b"__WEBAPP_A__");
                at = span.end;
            }
            rest = &rest[at..];
            original.extend(rest);
            prop_assert_eq!(original, source.as_bytes());
            prop_assert_eq!(filled.inserted.len(), source.matches("__WEBAPP_A__").count());
        }
    }

    #[test]
    fn json_round_trips(before in any::<String>(), value in any::<String>(), after in any::<String>()) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (head, tail) = (quoted(&before), quoted(&after));
        let source = format!("[{}, {}__WEBAPP_A__{}]", head, &head[..head.len() - 1], &tail[1..]);
        let filled = fill(Kind::Json, &source, &[("A", &value)]).unwrap();
        let read: Vec<String> = serde_json::from_str(&filled).unwrap();
        prop_assert_eq!(read, [before.clone(), format!("{before}{value}{after}")]);
    }

    #[test]
    fn nothing_shows_a_value(source in soup()) {
        let filling = filling(&[("A", "s3cret")]);
        let mut shown = format!("{filling:?}");
        if let Err(faults) = filling.fill(Kind::Html, source.as_bytes()) {
            for (_, fault) in faults {
                shown = format!("{shown}{fault} {fault:?}");
            }
        }
        prop_assert!(!shown.contains("s3cret"));
    }
}

#[test]
fn a_page_with_a_value_in_each_place_is_counted() {
    let filling = Filling { prefix: "X_".into(), values: BTreeMap::from([("X_A".to_owned(), "1".to_owned())]) };
    let filled = filling.fill(Kind::Html, b"<p a=\"__X_A__\">__X_A__").unwrap();
    assert_eq!((filled.bytes.as_ref(), filled.used.len()), (b"<p a=\"1\">1".as_slice(), 1));
}
