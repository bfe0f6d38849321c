use super::Condition;

fn matches(condition: &str, properties: &[(&str, &str)]) -> bool {
    let properties: Vec<_> = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Condition::parse(condition, true).unwrap_or_else(|error| panic!("{condition}: {error}")).matches(&properties)
}

#[test]
fn documented_operators_work() {
    let order = [("a", "5"), ("b", "abc"), ("c", "true"), ("__SHARDINGKEY", "k1")];
    for wanted in [
        "a > 4",
        "a >= 5 AND a <= 5",
        "a = 5.0",
        "a <> 6",
        "a between 0 and 5",
        "a NOT BETWEEN 6 AND 7",
        "-1 < a",
        "a = +5",
        "b = 'abc'",
        "b <> 'x'",
        "b in ('x', 'abc')",
        "b NOT IN ('x')",
        "d IS NULL",
        "a IS NOT NULL and (d is null or a > 9)",
        "c = TRUE",
        "NOT (c = FALSE)",
        "TRUE",
        "__SHARDINGKEY = 'k1'",
        "b contains 'b' and b startswith 'a' and b endswith 'c'",
        "b not contains 'x'",
        "b NOT STARTSWITH 'b'",
    ] {
        assert!(matches(wanted, &order), "{wanted}");
    }
    for unwanted in ["a > 5", "a in ('x')", "b = 'ABC'", "d > 1", "d <> 1", "NOT (d = 1)", "b > 1", "FALSE"] {
        assert!(!matches(unwanted, &order), "{unwanted}");
    }
}

/// What real brokers of both versions select.
#[test]
fn oddities_are_those_of_real_brokers() {
    let messages: [(&str, &[(&str, &str)]); 5] = [
        ("none", &[]),
        ("five", &[("a", "5"), ("b", "abc"), ("c", "true")]),
        ("float", &[("a", "5.0"), ("b", "ABC"), ("c", "false")]),
        ("big", &[("a", "5.5"), ("b", "x"), ("c", "TRUE")]),
        ("text", &[("a", "x"), ("b", "5"), ("c", "yes")]),
    ];
    for (condition, selected) in [
        ("a = 5", vec!["five"]),
        ("a = 5.0", vec!["five", "float"]),
        ("a <> 5", vec![]),
        ("a >= 5", vec!["five"]),
        ("a > 5.2", vec!["big"]),
        ("NOT (a = 6)", vec!["five"]),
        ("NULL", vec![]),
        ("a", vec![]),
        ("NOT a", vec!["five", "float", "big", "text"]),
        ("NOT a = 5", vec![]),
        ("NOT a = TRUE", vec!["five", "float", "big", "text"]),
        ("NOT a <> 5", vec!["five", "float", "big", "text"]),
        ("NOT a IS NULL", vec!["none"]),
        ("a = 5 OR d = 1", vec!["five"]),
        ("a = b", vec!["none"]),
        ("a > b", vec![]),
        ("a = b = c", vec![]),
        ("'x' IS NOT NULL", vec!["none", "five", "float", "big", "text"]),
        ("TRUE = 'true'", vec!["none", "five", "float", "big", "text"]),
        ("a > 1 LIKE", vec!["five"]),
        ("a + 1 > 2", vec![]),
        ("b CONTAINS ''", vec![]),
        ("b NOT CONTAINS ''", vec![]),
        ("d NOT CONTAINS 'b'", vec![]),
        ("NOT (d CONTAINS 'b')", vec!["none", "five", "float", "big", "text"]),
        ("1 CONTAINS '1'", vec![]),
        ("a = 05", vec![]),
        ("a = 5L", vec!["five"]),
        ("a = 5e0", vec!["five", "float"]),
        ("a > 4 AND NOT c", vec!["five"]),
        ("NULL IS NULL", vec!["none", "five", "float", "big", "text"]),
        ("a IS NULL IS NOT NULL", vec!["none", "five", "float", "big", "text"]),
        ("a IS NOT NULL > 1", vec!["five", "float", "big", "text"]),
        ("- a IS NULL", vec!["none", "five", "float", "big", "text"]),
        ("- a > 1 OR a = 5", vec!["five"]),
        ("a = 5 -- unended", vec!["five"]),
        ("a = -- ended\n 5", vec!["five"]),
        ("b = 'it''s' OR a = /* 6 */ 5", vec!["five"]),
    ] {
        let found: Vec<_> =
            messages.iter().filter(|(_, properties)| matches(condition, properties)).map(|(name, _)| *name).collect();
        assert_eq!(found, selected, "{condition}");
    }
}

#[test]
fn what_is_no_condition_is_refused() {
    for text in [
        "",
        "a >",
        "a > 'x'",
        "a = 1 and",
        "a between 3 and 1",
        "a between 'x' and 'y'",
        "a in (1)",
        "a = NULL",
        "\"a\" = 1",
        "a > TRUE",
        "a = 1; drop table t",
        "1",
        "été = 1",
        "a == 1",
        "n >>> 1",
        "a != 1",
        "OR a > 1",
        "a = 0.0",
        "a = 99999999999999999999",
        "NOT a IN ('x')",
        "NOT a > 1",
        "(a + 1) > 2",
        "(a > 1",
        "a.b = 1",
        "a = 'x",
        "contains = 'x'",
    ] {
        assert!(Condition::parse(text, true).is_err(), "{text}");
    }
    let old = Condition::parse("b contains 'x'", false).unwrap();
    assert!(!old.matches(&[("b".into(), "x".into())]), "for 4.9 the condition is `b`");
    assert!(Condition::parse(&format!("{}TRUE{}", "(".repeat(5000), ")".repeat(5000)), true).is_err());
    assert!(Condition::parse(&format!("{}TRUE", "NOT ".repeat(5000)), true).is_err());
    let long = |count| vec!["a = 1"; count].join(" AND ");
    assert!(Condition::parse(&long(800), true).unwrap().matches(&[("a".into(), "1".into())]));
    assert!(Condition::parse(&long(5000), true).is_err());
    for chain in ["a = ".repeat(2000) + "1", "a = ".repeat(60) + "1", "- ".repeat(4000) + "1 = a"] {
        assert!(Condition::parse(&chain, true).is_err());
    }
}
