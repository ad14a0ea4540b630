use super::*;
use crate::fleet::Fleet;
use std::os::unix::fs::PermissionsExt as _;

fn options(home: PathBuf) -> InitOptions {
    InitOptions {
        home,
        name: "test".to_owned(),
        listen_host: Vec::new(),
        api_listen: None,
        broker_listen: None,
        claim_listen: None,
        if_missing: false,
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}

#[tokio::test]
async fn a_home_is_whole_private_and_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut options = options(folder.path().join("a/home"));
    options.listen_host = vec!["bridge.example".to_owned(), "192.0.2.7".to_owned()];
    init(&options, &clock).await.unwrap();
    let home = Home::new(&options.home);
    let mut found = vec![options.home.clone()];
    walk(&options.home, &mut found);
    for path in &found {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let public = ["bridge.toml", "authority.der", "1.bundle"].iter().any(|name| path.ends_with(name))
            || path.extension().is_some_and(|extension| extension == "pem");
        let expected = if path.is_dir() {
            0o700
        } else if public {
            0o644
        } else {
            0o600
        };
        assert_eq!(mode, expected, "{}", path.display());
    }
    let environment = std::fs::read_to_string(home.operator_environment()).unwrap();
    for name in [
        "AWS_ENDPOINT_URL_SSM=http://127.0.0.1:8474\n",
        "AWS_ENDPOINT_URL_RESOURCE_GROUPS=http://127.0.0.1:8474\n",
        "AWS_ACCESS_KEY_ID=FL",
        "AWS_SECRET_ACCESS_KEY=",
        "AWS_DEFAULT_REGION=",
    ] {
        assert!(environment.contains(name), "{name}");
    }
    let settings = Settings::load_file(&options.home).unwrap();
    assert_eq!(settings.broker.address.to_string(), "bridge.example:8883");
    assert_eq!(settings.broker.claim_listen.to_string(), "0.0.0.0:8884");
    let fleet = Fleet::open(&settings, clock).await.unwrap();
    let trust = fleet.signer.trust();
    assert_eq!(trust.fleet(), fleet.settings.fleet);
    assert_eq!((trust.bundle().roles.len(), trust.bundle().rules.len()), (4, 6));
    home.read_authority().unwrap();
    home.read_certificate("broker").unwrap();
    home.read_certificate("bridge").unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path().join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["home"], "nothing unfinished is left");
}

#[tokio::test]
async fn a_second_init_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut options = options(folder.path().join("home"));
    std::fs::create_dir(&options.home).unwrap();
    init(&options, &clock).await.unwrap();
    let before = std::fs::read(Home::new(&options.home).bundle(1)).unwrap();
    assert!(matches!(init(&options, &clock).await, Err(InitError::Exists { .. })));
    options.if_missing = true;
    init(&options, &clock).await.unwrap();
    assert_eq!(std::fs::read(Home::new(&options.home).bundle(1)).unwrap(), before);
    std::fs::remove_file(Home::new(&options.home).key("bridge")).unwrap();
    let error = init(&options, &clock).await.unwrap_err();
    assert!(error.to_string().contains("keys/bridge.key"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut bad_host = options(folder.path().join("home"));
    bad_host.listen_host = vec!["not a host".to_owned()];
    assert!(matches!(init(&bad_host, &clock).await, Err(InitError::Settings(_))));
    let mut bad_name = options(folder.path().join("home"));
    bad_name.name = "no spaces".to_owned();
    assert!(matches!(init(&bad_name, &clock).await, Err(InitError::Settings(_))));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    let file = folder.path().join("file");
    std::fs::File::create(&file).unwrap();
    assert!(matches!(init(&options(file.join("home")), &clock).await, Err(InitError::Write { .. })));
}
