//! From separate words to one line of POSIX shell that means these very words.

/// Words that the shell understands itself when they stand first.
const RESERVED: [&str; 15] =
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "function", "time"];

/// The script that the words after `--` mean: one word is a script as it is, several are a command with arguments.
pub(crate) fn script(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        [first, rest @ ..] => {
            let first = if RESERVED.contains(&first.as_str()) { in_single_quotes(first) } else { quote(first) };
            rest.iter().fold(first, |line, word| line + " " + &quote(word))
        }
        [] => String::new(),
    }
}

/// One word, quoted when the shell would read it as anything but itself.
pub(crate) fn quote(word: &str) -> String {
    // No equals sign among these: as the first word, `a=b` would be an assignment.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { in_single_quotes(word) }
}

fn in_single_quotes(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        script(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn one_word_is_a_script() {
        insta::assert_snapshot!(line(&["for n in 1 2; do echo $n; done | sort"]), @"for n in 1 2; do echo $n; done | sort");
    }

    #[test]
    fn several_words_are_a_command_with_arguments() {
        insta::assert_snapshot!(line(&["echo", "two words", "$HOME", "it's", "", "a;b", "-x=1", "/etc/os-release"]), @r#"echo 'two words' '$HOME' 'it'\''s' '' 'a;b' '-x=1' /etc/os-release"#);
        insta::assert_snapshot!(line(&["A=b", "c"]), @"'A=b' c");
        insta::assert_snapshot!(line(&["if", "~", "*", "new\nline", "süd"]), @r"
        'if' '~' '*' 'new
        line' 'süd'
        ");
    }

    /// The shell itself is the judge: it must hand back the very words.
    #[test]
    fn the_shell_reads_the_same_words() {
        let words = ["printf", "%s\\0", "a b", "'", "\"", "\\", "$(x)", "`x`", "!", "~", "{a,b}", "#", "", "\n", "é=1", "*"];
        #[expect(clippy::disallowed_methods, reason = "the test asks a real shell")]
        let output = std::process::Command::new("sh").arg("-c").arg(line(&words)).output().unwrap();
        let expected: String = words.iter().skip(2).map(|word| format!("{word}\0")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
