//! Dependencies point one way: `binding → {producer, consumer} → client → remoting → protocol`; `error` and `env` are leaves.

use std::fs;
use std::path::{Path, PathBuf};

/// What a room may name, besides itself and the leaves.
const MAY_NAME: [(&str, &[&str]); 9] = [
    ("binding", &["producer", "consumer", "client", "test_broker", "protocol"]),
    ("producer", &["client", "protocol"]),
    ("consumer", &["client", "protocol"]),
    ("client", &["remoting", "protocol"]),
    ("remoting", &["protocol"]),
    ("test_broker", &["protocol"]),
    ("protocol", &[]),
    ("error", &[]),
    ("env", &[]),
];
const LEAVES: [&str; 2] = ["error", "env"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its room's name and its text without comments.
fn rooms() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let home = name.split(['/', '.', '\\']).next().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
            (name, home, code.join("\n"))
        })
        .filter(|(_, room, _)| room != "lib" && room != "layering")
        .collect()
}

/// The rooms that a text names after `crate::`, also inside `use crate::{…}`.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(letter),
                    _ => {}
                }
            }
            names.push(item);
        } else {
            names.push(rest.to_owned());
        }
    }
    let first = |name: &String| {
        name.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>()
    };
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_arrow_points_back_up() {
    for (file, room, code) in rooms() {
        let allowed =
            MAY_NAME.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{file}: an unknown room")).1;
        for target in named(&code) {
            let fine = target == room
                || (LEAVES.contains(&target.as_str()) && !LEAVES.contains(&room.as_str()))
                || allowed.contains(&target.as_str());
            assert!(fine, "{file} names crate::{target}, which {room} may not know");
        }
    }
}

#[test]
fn only_the_binding_names_napi_only_env_names_sockets_and_clocks_and_the_protocol_is_bytes_only() {
    for (file, room, code) in rooms() {
        let forbidden: &[(&str, &[&str])] = &[
            ("napi", &["binding"]),
            ("TcpStream", &["env"]),
            ("UdpSocket", &["env"]),
            ("tokio::net", &["env"]),
            ("Instant::now", &["env"]),
            ("SystemTime", &["env"]),
        ];
        for (word, homes) in forbidden {
            assert!(homes.contains(&room.as_str()) || !code.contains(word), "{file} names {word}");
        }
        if room == "protocol" {
            assert!(!code.contains("tokio") && !code.contains("Instant"), "{file}: the protocol knows bytes only");
        }
    }
}

#[test]
fn the_check_itself_sees_arrows() {
    assert_eq!(
        named("use crate::client::Client;\nuse crate::{env::{self, now}, error::Code};"),
        ["client", "env", "error"]
    );
}
