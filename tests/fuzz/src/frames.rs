//! What the two halves of the agent say to each other: the link is the one that a stranger may have taken over.

use flotilla_agent::frame::{FrameReader, FromExec, FromLink, encode};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime without input and output");
}

/// A stream of frames in either direction.
pub(crate) fn frame(bytes: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut reader = FrameReader::new(bytes);
            while let Ok(Some(frame)) = reader.next::<FromLink>().await {
                assert!(encode(&frame).is_ok(), "a frame was read that cannot be written");
            }
            let mut reader = FrameReader::new(bytes);
            while let Ok(Some(frame)) = reader.next::<FromExec>().await {
                assert!(encode(&frame).is_ok(), "a frame was read that cannot be written");
            }
        });
    });
}
