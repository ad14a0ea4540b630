//! Binaries of other processors: run by Debian's `qemu-user-static` on the kernel of this machine.
//!
//! An agent starts itself again in other roles, and a kernel that knows no emulator refuses that. Since Linux 6.7 `binfmt_misc` can be mounted in
//! a user namespace and holds there alone, so each emulated program gets a namespace in which its emulator is registered, and the machine
//! stays as it is.

use crate::process;
use std::path::{Path, PathBuf};

/// What the header of a program for Linux says of its processor, and who runs it: width, machine (`elf.h`), emulator.
const PROCESSORS: [(u8, u16, Runner); 5] = [
    (2, 62, Runner::Kernel),
    (1, 3, Runner::Kernel),
    (2, 183, Runner::Emulator("qemu-aarch64-static")),
    (1, 40, Runner::Emulator("qemu-arm-static")),
    (2, 243, Runner::Emulator("qemu-riscv64-static")),
];
/// Bytes of the header up to and with the machine.
const HEADER_BYTES: usize = 20;
/// Which of them a registration compares: neither the system nor the low bit of the type, which tells a program that can be anywhere in memory
/// from one that cannot.
const MASK: [u8; HEADER_BYTES] = [255, 255, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0xfe, 255, 255, 255];
/// Where emulators are looked for behind the search path.
const FOLDER: &str = "/usr/bin";

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    /// The kernel of a machine with an x86_64 processor, where it takes programs of 32 bits, too.
    Kernel,
    /// This program of `qemu-user-static`.
    Emulator(&'static str),
}

/// The way to run a program of some processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emulation {
    /// What stands before the program; nothing where the kernel runs it.
    pub enter: Vec<String>,
    /// The emulator, where there is one: what the kernel takes for the program.
    pub emulator: Option<PathBuf>,
}

impl Emulation {
    /// Finds the way to run this program; files that it needs are put into `folder`.
    ///
    /// # Errors
    /// What this machine cannot do or does not have, for the line that says that a test is skipped.
    ///
    /// # Panics
    /// When the file is no program for Linux, or files cannot be written.
    pub fn of(program: &Path, folder: &Path) -> Result<Self, String> {
        let file = std::fs::read(program).unwrap_or_else(|error| panic!("{} cannot be read: {error}", program.display()));
        let header = file.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(b"\x7fELF")).expect("it is a program for Linux");
        let machine = u16::from_le_bytes([header[18], header[19]]);
        let known = PROCESSORS.iter().find(|(width, of, _)| (*width, *of) == (header[4], machine));
        match known.ok_or_else(|| format!("nobody runs programs of {} bits for machine {machine}", u32::from(header[4]) * 32))? {
            (_, _, Runner::Kernel) if cfg!(target_arch = "x86_64") => Ok(Self { enter: Vec::new(), emulator: None }),
            (_, _, Runner::Kernel) => Err("this machine has another processor".to_owned()),
            (_, _, Runner::Emulator(name)) => Self::by(name, header, folder),
        }
    }

    fn by(name: &str, header: &[u8; HEADER_BYTES], folder: &Path) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain([PathBuf::from(FOLDER)]);
        let emulator = places.map(|place| place.join(name)).find(|path| path.is_file());
        let emulator = emulator.ok_or_else(|| format!("{name} is not there (Debian: qemu-user-static)"))?;
        let script = folder.join(format!("enter-{name}"));
        write(&script, &entering(&folder.join("binfmt"), &registration(&emulator, header)));
        let enter = vec!["/bin/sh".to_owned(), script.display().to_string()];
        let mut probe = process::command(Path::new("/bin/sh"));
        probe.arg(&script).arg("/bin/true");
        let probe = process::output(probe);
        if probe.status.success() {
            return Ok(Self { enter, emulator: Some(emulator) });
        }
        let why = String::from_utf8_lossy(&probe.stderr);
        Err(format!("no emulator can be registered in a user namespace (needs Linux 6.7 and binfmt_misc): {}", why.trim()))
    }
}

/// What is written to `register`: the flag F opens the emulator at once, so that it is found from anywhere.
fn registration(emulator: &Path, header: &[u8; HEADER_BYTES]) -> String {
    let mut magic = *header;
    // As the mask has it: any system, and the lower of the two types.
    (magic[7], magic[16]) = (0, header[16] & MASK[16]);
    let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    format!(":agent:M::{}:{}:{}:F", escaped(&magic), escaped(&MASK), emulator.display())
}

/// The script that makes the namespace and becomes the program that follows it.
fn entering(mount_point: &Path, registration: &str) -> String {
    let inside = "set -e; mount -t binfmt_misc none \"$1\"; printf %s \"$2\" > \"$1/register\"; shift 2; exec \"$@\"";
    let place = mount_point.display();
    format!("mkdir -p {place} && exec unshare --user --map-root-user --mount /bin/sh -c '{inside}' sh {place} '{registration}' \"$@\"\n")
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_compares_the_processor_and_not_the_kind_of_program() {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x03");
        (header[16], header[18]) = (3, 183);
        let expected = "\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
        let line = registration(Path::new("/usr/bin/qemu-aarch64-static"), &header);
        assert!(line.starts_with(&format!(":agent:M::{expected}:\\xff")), "{line}");
        assert!(line.ends_with(":/usr/bin/qemu-aarch64-static:F"), "{line}");
    }

    #[test]
    fn a_program_of_this_machine_needs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let this = std::env::current_exe().unwrap();
        if cfg!(target_arch = "x86_64") {
            assert_eq!(Emulation::of(&this, folder.path()), Ok(Emulation { enter: Vec::new(), emulator: None }));
        }
    }
}
