use super::*;
use std::time::Duration;

fn read(path: &str, store: &ObjectStore) -> Result<(String, String, String, bool), String> {
    address(path, store).map(|task| (task.base, task.key, task.region, task.may_be_signed))
}

#[test]
fn addresses_of_objects_are_read() {
    let amazon = ObjectStore::default();
    let other_region = ObjectStore { region: Some("eu-central-1".into()), ..amazon.clone() };
    let own = ObjectStore { endpoint: Some("http://storage:9000".into()), region: Some("local-1".into()), credentials_file: None };
    for (path, store, base, key, region, may_be_signed) in [
        ("s3://bucket/a/b", &amazon, "https://s3.us-east-1.amazonaws.com/bucket", "a/b", "us-east-1", true),
        ("s3://bucket", &amazon, "https://s3.us-east-1.amazonaws.com/bucket", "", "us-east-1", true),
        ("https://s3.amazonaws.com/bucket/a+b%2Bc", &amazon, "https://s3.us-east-1.amazonaws.com/bucket", "a b+c", "us-east-1", true),
        ("https://s3.eu-west-1.amazonaws.com/bucket/a", &amazon, "https://s3.eu-west-1.amazonaws.com/bucket", "a", "eu-west-1", true),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a", &amazon, "https://s3.eu-west-1.amazonaws.com/bucket", "a", "eu-west-1", true),
        ("https://bucket.s3.amazonaws.com/a/", &amazon, "https://s3.us-east-1.amazonaws.com/bucket", "a/", "us-east-1", true),
        ("https://my.bucket.s3.eu-west-1.amazonaws.com/a", &amazon, "https://s3.eu-west-1.amazonaws.com/my.bucket", "a", "eu-west-1", true),
        // The address wins over the settings, and the settings over the default.
        ("https://s3.eu-west-1.amazonaws.com/b/a", &other_region, "https://s3.eu-west-1.amazonaws.com/b", "a", "eu-west-1", true),
        ("https://b.s3-eu-west-1.amazonaws.com/a", &other_region, "https://s3.eu-west-1.amazonaws.com/b", "a", "eu-west-1", true),
        ("https://b.s3.amazonaws.com/a", &other_region, "https://s3.eu-central-1.amazonaws.com/b", "a", "eu-central-1", true),
        ("s3://b/a", &other_region, "https://s3.eu-central-1.amazonaws.com/b", "a", "eu-central-1", true),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/a", &amazon, "https://s3.cn-north-1.amazonaws.com.cn/b", "a", "cn-north-1", true),
        ("https://s3.cn-north-1.amazonaws.com.cn/b/a", &amazon, "https://s3.cn-north-1.amazonaws.com.cn/b", "a", "cn-north-1", true),
        ("https://b.s3.dualstack.eu-west-1.amazonaws.com/a", &amazon, "https://s3.eu-west-1.amazonaws.com/b", "a", "eu-west-1", true),
        ("https://s3.dualstack.eu-west-1.amazonaws.com/b/a", &amazon, "https://s3.eu-west-1.amazonaws.com/b", "a", "eu-west-1", true),
        ("https://b.s3-accelerate.amazonaws.com/a", &other_region, "https://s3.eu-central-1.amazonaws.com/b", "a", "eu-central-1", true),
        ("https://b.s3-accelerate.dualstack.amazonaws.com/a", &amazon, "https://s3.us-east-1.amazonaws.com/b", "a", "us-east-1", true),
        ("https://objects.example/bucket/a", &amazon, "https://objects.example/bucket", "a", "us-east-1", false),
        ("https://amazonaws.com.example/bucket/a", &amazon, "https://amazonaws.com.example/bucket", "a", "us-east-1", false),
        ("s3://bucket/a", &own, "http://storage:9000/bucket", "a", "local-1", true),
        ("http://storage:9000/bucket/a", &own, "http://storage:9000/bucket", "a", "local-1", true),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a", &own, "http://storage:9000/bucket", "a", "local-1", true),
    ] {
        assert_eq!(read(path, store), Ok((base.into(), key.into(), region.into(), may_be_signed)), "{path}");
    }
    for (path, store, expected) in [
        ("https://objects.example/bucket/a", &own, "not of the object store"),
        ("http://objects.example/bucket/a", &amazon, "not https"),
        ("s3:///a", &amazon, "no name of a bucket"),
        ("s3://../a", &amazon, "no name of a bucket"),
        ("s3://b@evil.example/a", &amazon, "no name of a bucket"),
        ("https://s3.amazonaws.com/", &amazon, "no name of a bucket"),
        ("https://s3.amazonaws.com/bucket/a%0a", &amazon, "control character"),
        ("https://s3.amazonaws.com/bucket/%ff", &amazon, "UTF-8"),
        ("bucket/a", &amazon, "path"),
    ] {
        let error = read(path, store).unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

/// Source: "GET Object" in the S3 API reference, "Examples: Signature Calculations in AWS Signature Version 4", without its range.
#[test]
fn lists_are_signed_as_in_the_reference() {
    let keys = KeyPair {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
    };
    // 2013-05-24T00:00:00Z
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    // "GET Bucket (List Objects)" of that page.
    let headers = signature("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "us-east-1", &keys, time).unwrap();
    let authorization = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).unwrap();
    let signature = authorization.1.rsplit_once("Signature=").unwrap().1;
    assert_eq!(signature, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

#[test]
fn lists_of_objects_are_read_and_others_refused() {
    let xml = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a</Prefix><EncodingType>url</EncodingType>\
        <Contents><Key>a%26b+c%2Bd</Key><Owner><ID>x</ID></Owner></Contents><Contents><Key>e</Key></Contents>\
        <CommonPrefixes><Prefix>no</Prefix></CommonPrefixes><NextContinuationToken>1/2=</NextContinuationToken></ListBucketResult>";
    let expected = Page { keys: vec!["a&b c+d".into(), "e".into()], next: Some("1/2=".into()) };
    assert_eq!(read_page(xml), Ok(expected));
    assert_eq!(read_page("<ListBucketResult></ListBucketResult>"), Ok(Page::default()));
    // A store that does not encode, and what XML writes in another way.
    let plain = "<ListBucketResult><Contents><Key>a&amp;b+c%2Bd&#228;<![CDATA[<]]></Key></Contents>\
        <NextContinuationToken>a&amp;b&lt;&#x41;</NextContinuationToken></ListBucketResult>";
    assert_eq!(read_page(plain), Ok(Page { keys: vec!["a&b+c%2Bdä<".into()], next: Some("a&b<A".into()) }));
    assert!(read_page("<ListBucketResult><Contents><Key>&unknown;</Key></Contents></ListBucketResult>").is_err());
    for text in
        ["", "no xml", "<Error><Code>x</Code></Error>", "<ListBucketResult><Contents></ListBucketResult>", "<a><ListBucketResult/></a>"]
    {
        assert!(read_page(text).is_err(), "{text}");
    }
}
