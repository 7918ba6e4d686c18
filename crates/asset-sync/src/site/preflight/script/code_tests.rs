use super::*;

/// Whether `HERE` is code; `None` where the script cannot be read.
fn is_code(source: &str) -> Option<bool> {
    let at = source.find("HERE").unwrap();
    Some(Code::read(source.as_bytes())?.contains(at))
}

#[test]
fn a_slash_divides_after_a_value() {
    // Read as the start of a regular expression it would hide `HERE`, up to the second slash.
    for source in [
        "a / HERE / b",
        "f(a) / HERE / b",
        "a[0] / HERE / b",
        "x = {} / HERE / b",
        "(function () {} / HERE / b)",
        "x = function* f(a = {}) { return } / HERE / b",
        "x = async function () {} / HERE / b",
        "x = class { if() {} } / HERE / b",
        "x = class A extends f({}) {} / HERE / b",
        "`${a}` / HERE / b",
        "'a' / HERE / b",
        "/a/g / HERE / b",
        "a++ / HERE / b",
        "1. / HERE / b",
        "1.5 / HERE / b",
        "of / HERE / b",
        "a.of / HERE / b",
        "a. return / HERE / b",
        "a?.if / HERE / b",
        "this.#delete / HERE / b",
        "x = { if: 1, return: a } / HERE / b",
        "x = { a: {} / HERE / b }",
        "x = a ? {} / HERE / b : c",
        "x = a?.5:{} / HERE / b",
        "x = a ?? {} / HERE / b",
        "switch (a) { case b ? c : {} / HERE / d: }",
    ] {
        assert_eq!(is_code(source), Some(true), "{source}");
    }
}

#[test]
fn a_slash_begins_a_regular_expression_elsewhere() {
    // Read as a division, the quote would begin a string.
    for source in [
        "/HERE'/",
        "x = /HERE'/",
        "x = /[/HERE']/",
        "x = /\\/HERE'/",
        "f(/HERE'/)",
        "return /HERE'/",
        "if (a) /HERE'/.test(b)",
        "for await (a of b) /HERE'/.test(b)",
        "for (a of /HERE'/) b",
        "if (a) {} /HERE'/.test(b)",
        "if (a) {} else /HERE'/.test(b)",
        "function f() {} /HERE'/.test(b)",
        "async function f(a = {}) {} /HERE'/.test(b)",
        "export function f() {} /HERE'/.test(b)",
        "class A extends B {} /HERE'/.test(b)",
        "a: {} /HERE'/.test(b)",
        "switch (a) { case 1: {} /HERE'/.test(b) }",
        "switch (a) { case b ? c : d: {} /HERE'/.test(b) }",
        "switch (a) { default: {} /HERE'/.test(b) }",
        "a => { } /HERE'/.test(b)",
        "a => /* c */ { } /HERE'/.test(b)",
        "a => /HERE'/",
        "({ async f() {} }); /HERE'/",
        "[...typeof /HERE'/]",
        "x = { class: 1 }; { a\n{} /HERE'/.test(b) }",
        "`${/HERE'/}`",
        "x = !/HERE'/",
    ] {
        assert_eq!(is_code(source), Some(false), "{source}");
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    for source in [
        "// HERE\n",
        "#! HERE\n",
        "/* ' HERE */",
        "'\\' HERE'",
        "'\\\r\n HERE'",
        "'\\\n HERE'",
        "`\n HERE ${a}`",
        "`${a} HERE ${b}`",
        "`${`${{}} HERE`}`",
        "<!-- HERE '",
        "a\n --> HERE '",
        "a /* \n */ --> HERE '",
    ] {
        assert_eq!(is_code(source), Some(false), "{source}");
    }
    for source in [
        "// a\rHERE",
        "// a\u{2028}HERE",
        "// a\u{2029}HERE",
        "#! a\nHERE",
        "a-->HERE",
        "\u{feff}/' '/;HERE",
        "`a${HERE}`",
    ] {
        assert_eq!(is_code(source), Some(true), "{source}");
    }
}

#[test]
fn what_cannot_be_read_is_not_judged() {
    for source in ["a = 'x\n'", "f(a", "a)", "/* ", "`${", "x = /a\n/", "x = /a\\\n/", "\"", "({]})", "a <!-- b", "'\\"]
    {
        assert!(Code::read(source.as_bytes()).is_none(), "{source}");
    }
}

#[test]
fn nesting_without_end_is_given_up() {
    for open in ["(", "[", "{", "`${", "a=>{", "class{a="] {
        assert!(Code::read(open.repeat(MAX_OPEN + 1).as_bytes()).is_none(), "{open}");
    }
    let deep = format!("{}{}", "(".repeat(MAX_OPEN), ")".repeat(MAX_OPEN));
    assert!(Code::read(deep.as_bytes()).is_some());
    assert!(Code::read(format!("({deep})").as_bytes()).is_none());
}
