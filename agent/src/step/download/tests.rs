use super::*;
use std::os::unix::fs::OpenOptionsExt as _;

#[test]
fn keys_come_from_the_first_section_of_a_private_file() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        read_keys(&path).map(|keys| (keys.access_key_id, keys.secret_access_key, keys.session_token)).map_err(|error| error.to_string())
    };
    let both = "aws_access_key_id = A\n#aws_access_key_id=C\naws_secret_access_key=B=/+\n";
    assert_eq!(read("plain", both, 0o600), Ok(("A".into(), "B=/+".into(), None)));
    let sections = format!("[default]\n{both}aws_session_token = T\n[other]\naws_access_key_id=X\n");
    assert_eq!(read("sections", &sections, 0o400), Ok(("A".into(), "B=/+".into(), Some("T".into()))));
    for (name, text, mode, expected) in [
        ("open", both, 0o644, "0600"),
        ("group", both, 0o640, "0600"),
        ("half", "aws_access_key_id = A\n", 0o600, "aws_secret_access_key is missing"),
        ("empty", "", 0o600, "aws_access_key_id is missing"),
    ] {
        let error = read(name, text, mode).unwrap_err();
        assert!(error.contains(expected) && error.contains("s3.credentials_file"), "{name}: {error}");
    }
    assert!(read_keys(&folder.path().join("missing")).is_err());
}

#[test]
fn files_take_their_own_name_in_a_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    assert_eq!(place::target("", "a"), Path::new("./a"));
    assert_eq!(place::target("b/", "a"), Path::new("b/a"));
    assert_eq!(place::target("b", "a"), Path::new("b"));
    assert_eq!(place::target(here, "a"), folder.path().join("a"));
    assert_eq!(place::shown(Path::new("./a")), Path::new("a"));
    assert_eq!(place::shown(Path::new(".")), Path::new("."));
    for bad in ["", "/a", "../a", "a/../b", "a\0b", "./a/..", ".."] {
        assert!(place::relative(bad).is_err(), "{bad:?}");
    }
    assert!(place::relative("a/b c/d").is_ok());
}

#[test]
fn a_document_never_names_a_file_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let destination = format!("{}/in/", folder.path().display());
    for name in ["../out", "/tmp/flotilla-out", "a\0b", "a/../../out"] {
        let task = DownloadTask {
            source: SourceTask::Text { name: name.into(), content: "{}".into() },
            destination: destination.clone(),
            partial: ".partial".into(),
            tools: Tools::default(),
        };
        assert!(matches!(run(&task, None, &BTreeMap::new()), Err(DownloadError::Name(_))), "{name:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn leftovers_of_a_prefix_are_found_at_any_depth() {
    let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    for name in [".flotilla-1.partial", ".flotilla-2.partial", "kept"] {
        fs::File::create(deep.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
    let source = s3::S3Task { base: "https://x/b".into(), key: "p/".into(), region: "r".into(), may_be_signed: false, sha256: None };
    let destination = folder.path().display().to_string();
    let task = DownloadTask { source: SourceTask::S3(source), destination, partial: ".flotilla-1.partial".into(), tools: Tools::default() };
    task.leftovers(work.path()).remove();
    let mut left: Vec<_> = fs::read_dir(&deep).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".flotilla-2.partial", "kept"]);
}

#[test]
fn a_budget_ends() {
    let mut budget = Budget::new(10);
    assert!(budget.foresee(11).is_err() && budget.foresee(10).is_ok());
    budget.take_bytes(10).unwrap();
    assert!(matches!(budget.take_bytes(1), Err(DownloadError::TooLarge { limit: 10 })));
    for _ in 0..MAXIMUM_ENTRIES {
        budget.take_entry().unwrap();
    }
    assert!(matches!(budget.take_entry(), Err(DownloadError::TooMany)));
}

#[test]
fn a_file_that_is_not_complete_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut budget) = (folder.path().join("deep/file"), Budget::new(100));
    let mut incoming = Incoming::create(&path, ".partial", &mut budget).unwrap();
    incoming.write(b"hello", &mut budget).unwrap();
    assert!(matches!(incoming.finish(Some([0; 32])), Err(DownloadError::Sha256 { .. })));
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
    let mut incoming = Incoming::create(&path, ".partial", &mut budget).unwrap();
    incoming.write(b"hello", &mut budget).unwrap();
    incoming.finish(Some(flotilla_protocol::sha256(&[b"hello"]))).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
}
