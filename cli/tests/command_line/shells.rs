//! Completion in a real shell, and manual pages through a real formatter, where the machine has them.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::Output;

use crate::{flotilla, program, texts};

fn printed(arguments: &[&str]) -> String {
    let output = flotilla(arguments).output().unwrap();
    let (out, errors) = texts(&output);
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

/// Runs a program that may not be there.
fn try_program(name: &str, arguments: &[&str]) -> Option<Output> {
    match program(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: {name} is not installed");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn bash_completes() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("flotilla");
    File::create(&script).unwrap().write_all(printed(&["completion", "bash"]).as_bytes()).unwrap();
    // As bash does it: the function gets the words so far and leaves the candidates.
    let complete = |words: &[&str]| {
        let count = words.len() - 1;
        let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let (last, before) = (words[count], words[count - 1]);
        let line = format!(
            "source '{}' || exit 9\nCOMP_WORDS=({list}); COMP_CWORD={count}\n_flotilla flotilla '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = try_program("bash", &["--norc", "-c", &line])?;
        let (out, errors) = texts(&output);
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{words:?}");
        let mut candidates: Vec<_> = out.lines().map(|line| line.trim().to_owned()).collect();
        candidates.sort();
        Some(candidates)
    };
    let Some(commands) = complete(&["flotilla", "d"]) else { return };
    assert_eq!(commands, ["documents"]);
    assert_eq!(complete(&["flotilla", "documents", "l"]).unwrap(), ["lint", "list"]);
    assert_eq!(complete(&["flotilla", "documents", "lint", "--s"]).unwrap(), ["--strict"]);
    assert_eq!(complete(&["flotilla", "nodes", "--output", ""]).unwrap(), ["json", "table", "text"]);
    assert_eq!(complete(&["flotilla", "completion", "z"]).unwrap(), ["zsh"]);
}

#[test]
fn other_shells_get_a_script_that_names_every_command() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completion", shell]);
        for command in ["nodes", "activation", "run", "wait", "commands", "documents", "groups", "tags", "completion", "man"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    if let Some(output) = try_program("zsh", &["-n", "-c", &printed(&["completion", "zsh"])]) {
        assert!(output.status.success(), "{}", texts(&output).1);
    }
}

#[test]
fn manual_pages_are_complete_and_format_without_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(printed(&["man", "--directory", pages.to_str().unwrap()]), "");
    let names: Vec<String> = std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for name in ["flotilla.1", "flotilla-run.1", "flotilla-documents-lint.1", "flotilla-groups-create.1", "flotilla-wait.1"] {
        assert!(names.iter().any(|found| found == name), "{name} is missing: {names:?}");
    }
    let page = std::fs::read_to_string(pages.join("flotilla-wait.1")).unwrap();
    assert!(page.contains("Examples:") && page.contains("exit code"), "{page}");
    assert_eq!(printed(&["man"]), std::fs::read_to_string(pages.join("flotilla.1")).unwrap());
    for name in &names {
        formats(&pages.join(name));
    }
}

fn formats(page: &Path) {
    let path = page.to_str().unwrap();
    for (formatter, arguments) in
        [("groff", ["-man", "-Tutf8", "-Kutf8", "-ww", "-z", path].as_slice()), ("mandoc", &["-Tlint", "-Werror", path])]
    {
        if let Some(output) = try_program(formatter, arguments) {
            let (out, errors) = texts(&output);
            assert_eq!((output.status.code(), out.as_str(), errors.as_str()), (Some(0), "", ""), "{formatter} {path}");
        }
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    // Every page that there is: help of the program is what people read.
    let folder = tempfile::tempdir().unwrap();
    printed(&["man", "--directory", folder.path().to_str().unwrap()]);
    let mut commands = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // A page joins the words of its command with dashes, and these words have one themselves.
        let page = name.strip_suffix(".1").unwrap().to_owned();
        let page = ["add-key", "set-threshold", "set-rule", "remove-rule"]
            .iter()
            .fold(page, |page, word| page.replace(word, &word.replace('-', "_")));
        let words: Vec<String> = page.split('-').skip(1).map(|word| word.replace('_', "-")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = printed(&[&words[..], &["--help"]].concat());
        assert!(
            help.contains("Example") && help.contains(&["flotilla", &words.join(" ")].join(" ").trim().to_owned()),
            "{words:?}: {help}"
        );
        commands += 1;
    }
    assert!(commands > 35, "{commands}");
}
