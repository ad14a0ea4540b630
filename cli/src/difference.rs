//! What differs between two texts, line by line, as `diff -u` shows it without the headers.

/// Lines around a difference.
const CONTEXT: usize = 3;
/// Most pairs of lines that are compared; a document of 64 KiB stays below, unless it is made of nothing but empty lines.
const MAXIMUM_PAIRS: usize = 64 * 1024 * 1024;

/// One line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The differing lines, marked `-` and `+`, with some around them; nothing when the texts have the same lines.
pub(crate) fn difference(old: &str, new: &str) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old == new {
        return None;
    }
    let lines = compare(&old, &new);
    let is_near = |index: usize| {
        let around = lines.get(index.saturating_sub(CONTEXT)..lines.len().min(index + CONTEXT + 1)).unwrap_or_default();
        around.iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let (mut text, mut shown_before) = (String::new(), true);
    for (index, line) in lines.iter().enumerate() {
        let shown = is_near(index);
        if shown && !shown_before {
            text.push_str("…\n");
        }
        shown_before = shown;
        if shown {
            let (mark, line) = match line {
                Line::Same(line) => (' ', line),
                Line::Old(line) => ('-', line),
                Line::New(line) => ('+', line),
            };
            text.extend([mark, ' ']);
            text.push_str(line);
            text.push('\n');
        }
    }
    Some(text)
}

/// The longest common subsequence keeps its lines; everything else is old or new.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let prefix = old.iter().zip(new).take_while(|(left, right)| left == right).count();
    let (same, old) = old.split_at(prefix);
    let new = new.get(prefix..).unwrap_or_default();
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(left, right)| left == right).count();
    let (old, end) = old.split_at(old.len() - suffix);
    let new = new.get(..new.len() - suffix).unwrap_or_default();
    let mut lines: Vec<Line<'a>> = same.iter().map(|line| Line::Same(line)).collect();
    lines.extend(middle(old, new));
    lines.extend(end.iter().map(|line| Line::Same(line)));
    lines
}

fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    if old.len().saturating_add(1).saturating_mul(width) > MAXIMUM_PAIRS {
        let replaced = old.iter().map(|line| Line::Old(line)).chain(new.iter().map(|line| Line::New(line)));
        return replaced.collect();
    }
    // common[i * width + j]: how many lines the rests from i and j on have in common, in their order.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            let best = if left == right { at(&common, i + 1, j + 1) + 1 } else { at(&common, i + 1, j).max(at(&common, i, j + 1)) };
            if let Some(place) = common.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(left), Some(right)) if left == right => {
                lines.push(Line::Same(left));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), Some(_)) if at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(Line::Old(left));
                i += 1;
            }
            (Some(left), None) => {
                lines.push(Line::Old(left));
                i += 1;
            }
            (_, Some(right)) => {
                lines.push(Line::New(right));
                j += 1;
            }
            (None, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(difference("", ""), None);
        assert_eq!(difference("a\nb\n", "a\nb"), None, "the last line break does not count");
    }

    #[test]
    fn what_changed_is_marked_with_some_lines_around() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n").unwrap(), "  a\n- b\n+ x\n  c\n");
        assert_eq!(difference("a\nb\n", "b\n").unwrap(), "- a\n  b\n");
        assert_eq!(difference("", "a\n").unwrap(), "+ a\n");
        let old: String = (0..20).map(|line| format!("{line}\n")).collect();
        let new = old.replace("\n1\n", "\none\n").replace("\n18\n", "\n18\n18a\n");
        assert_eq!(difference(&old, &new).unwrap(), "  0\n- 1\n+ one\n  2\n  3\n  4\n…\n  16\n  17\n  18\n+ 18a\n  19\n");
    }

    #[test]
    fn every_line_is_kept() {
        let texts = ["", "a", "a\nb\nc", "c\nb\na", "a\na\na", "b\na\nb\nc\na"];
        for old in texts {
            for new in texts {
                let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
                let lines = compare(&old, &new);
                let of = |wanted: fn(&Line<'_>) -> bool| -> Vec<&str> {
                    let text = |line: &Line<'static>| match line {
                        Line::Same(text) | Line::Old(text) | Line::New(text) => *text,
                    };
                    lines.iter().filter(|line| wanted(line)).map(text).collect()
                };
                assert_eq!(of(|line| !matches!(line, Line::New(_))), old);
                assert_eq!(of(|line| !matches!(line, Line::Old(_))), new);
            }
        }
    }
}
