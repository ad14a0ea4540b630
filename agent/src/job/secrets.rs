//! The secrets of a job on their way: from exec to the job, from the job to a step, and from there to the script.
//!
//! Each of the three is handed an open file that has no name and lives in memory (`memfd_create(2)`), sealed against changes: exec's and the
//! job's as standard input, which is read to its end and closed before anything else is done; the script's one for each secret, of which it
//! knows the path ([`path`]). So a value stands in no file with a name, no argument, and in no environment but where the document asks
//! for it. Memory may be written to swap space: encrypt it, or have none.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{Template, Value};
use flotilla_protocol::secret::{MAXIMUM_SECRETS, MAXIMUM_SECRETS_BYTES, OpenedSecret};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::dup2_stdin;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::redaction::Needles;

/// The descriptor of a job's first secret; the others follow. Far above those that shells use for themselves.
const FIRST_DESCRIPTOR: usize = 100;
/// Longest values of a step's variables that hold secrets, in bytes together: a program takes hardly more.
const MAXIMUM_VARIABLES_BYTES: usize = 128 * 1024;
/// Longest standard input with secrets, in bytes: files, variables, and their names, which stand in an order.
const MAXIMUM_INPUT_BYTES: u64 = 512 * 1024;

/// `MFD_NOEXEC_SEAL` of memfd_create(2).
const NEVER_A_PROGRAM: u32 = 8;

/// The secrets of a job. They are wiped when they are dropped.
#[derive(Default, PartialEq, Eq)]
pub struct JobSecrets(Vec<(u16, Zeroizing<String>)>);

impl fmt::Debug for JobSecrets {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobSecrets({})", self.0.len())
    }
}

/// Where a script finds its secret number `index`, as a path: the same in everything that inherits the descriptor, each time from the beginning.
#[must_use]
pub fn path(index: usize) -> String {
    format!("/proc/self/fd/{}", FIRST_DESCRIPTOR + index)
}

impl JobSecrets {
    /// The secrets of an order that were opened.
    ///
    /// # Errors
    /// One is no text.
    pub fn of_order(opened: Vec<OpenedSecret>) -> Result<Self, String> {
        let text = |secret: OpenedSecret| match std::str::from_utf8(&secret.value) {
            Ok(text) if !text.contains('\0') => Ok((secret.parameter, Zeroizing::new(text.to_owned()))),
            _ => Err(format!("the secret for parameter {} is no text", secret.parameter)),
        };
        opened.into_iter().map(text).collect::<Result<_, _>>().map(Self)
    }

    /// Reads what exec has handed to this process; nothing where its standard input is no file.
    ///
    /// # Errors
    /// The input cannot be read, or is no list of secrets.
    pub fn take_input() -> io::Result<Self> {
        let Some(mut parts) = take_input::<Vec<(u16, String)>>()? else { return Ok(Self::default()) };
        Ok(Self(parts.drain(..).map(|(parameter, value)| (parameter, Zeroizing::new(value))).collect()))
    }

    /// The standard input for the job's process; nothing where it has no secrets.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn to_input(&self) -> io::Result<Option<File>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let parts: Vec<(u16, &str)> = self.0.iter().map(|(parameter, value)| (*parameter, value.as_str())).collect();
        to_input(&parts).map(Some)
    }

    /// Whether a parameter is among them.
    #[must_use]
    pub fn has(&self, parameter: u16) -> bool {
        self.0.iter().any(|(of, _)| *of == parameter)
    }

    /// Gives each secret parameter the path of its file as its value: what scripts are told.
    pub fn put_paths(&self, parameters: &mut [Parameter]) {
        for (index, (parameter, _)) in self.0.iter().enumerate() {
            if let Some(parameter) = parameters.get_mut(usize::from(*parameter)) {
                parameter.value = Value::string(path(index));
            }
        }
    }

    /// What must not appear in output.
    #[must_use]
    pub fn needles(&self) -> Option<Needles> {
        Needles::new(self.0.iter().map(|(_, value)| value.as_bytes()))
    }

    /// What a step gets of them: the files that its lines name, and the variables of its environment that hold values.
    ///
    /// # Errors
    /// The variables would have more than [`MAXIMUM_VARIABLES_BYTES`].
    pub(crate) fn for_step(
        &self,
        lines: &[Template],
        variables: &BTreeMap<String, Template>,
        parameters: &[Parameter],
    ) -> Result<StepSecrets, String> {
        let named = |parameter: u16| lines.iter().flat_map(Template::secrets).any(|of| of == parameter);
        let files = self.0.iter().enumerate().filter(|(_, (parameter, _))| named(*parameter));
        let files = files.map(|(index, (_, value))| (u16::try_from(index).unwrap_or(u16::MAX), value.as_str().to_owned())).collect();
        let mut with_values = parameters.to_vec();
        for (parameter, value) in &self.0 {
            if let Some(parameter) = with_values.get_mut(usize::from(*parameter)) {
                parameter.value = Value::string(value.as_str());
            }
        }
        let mut step = StepSecrets { files, environment: BTreeMap::new() };
        let mut left = Some(MAXIMUM_VARIABLES_BYTES);
        for (name, value) in variables {
            let filled = left.and_then(|left| value.fill_within(&with_values, left));
            left = left.zip(filled.as_ref()).map(|(left, filled)| left - filled.len());
            step.environment.insert(name.clone(), filled.unwrap_or_default());
        }
        with_values.iter_mut().for_each(|parameter| parameter.value.text.zeroize());
        left.map(|_| step).ok_or_else(|| format!("its variables with secrets have more than {MAXIMUM_VARIABLES_BYTES} bytes"))
    }
}

/// What the process of a step is handed. It is wiped when it is dropped.
#[derive(Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepSecrets {
    /// Values that the script reads from files: the number of the path, and the value.
    files: Vec<(u16, String)>,
    /// Variables with values.
    environment: BTreeMap<String, String>,
}

impl fmt::Debug for StepSecrets {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepSecrets({} files, {} variables)", self.files.len(), self.environment.len())
    }
}

impl Drop for StepSecrets {
    fn drop(&mut self) {
        self.files.iter_mut().for_each(|(_, value)| value.zeroize());
        self.environment.values_mut().for_each(|value| value.zeroize());
    }
}

impl StepSecrets {
    /// The standard input for the step's process; nothing where it has no secrets.
    pub(crate) fn to_input(&self) -> io::Result<Option<File>> {
        if self.files.is_empty() && self.environment.is_empty() { Ok(None) } else { to_input(self).map(Some) }
    }

    /// Reads what the job has handed to this process.
    pub(crate) fn take_input() -> io::Result<Self> {
        Ok(take_input()?.unwrap_or_default())
    }

    /// Adds the variables to an environment.
    pub(crate) fn put_variables(&self, environment: &mut BTreeMap<String, String>) {
        environment.extend(self.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Opens the files under their descriptors, for the program that this process becomes.
    pub(crate) fn open_files(&self) -> io::Result<()> {
        for (index, value) in self.files.iter().take(MAXIMUM_SECRETS) {
            let wanted = i32::try_from(FIRST_DESCRIPTOR).unwrap_or(i32::MAX).saturating_add(i32::from(*index));
            let file = in_memory(value.as_bytes())?;
            // Without the flag that closes it when the program begins.
            let given = fcntl(&file, FcntlArg::F_DUPFD(wanted))?;
            if given != wanted {
                return Err(io::Error::other(format!("the descriptor {wanted} for a secret is taken")));
            }
        }
        Ok(())
    }
}

fn to_input(value: &impl Serialize) -> io::Result<File> {
    // In one piece, so that nothing of it is left behind by growing.
    let bytes = postcard::to_extend(value, Vec::with_capacity(2 * MAXIMUM_SECRETS_BYTES)).map_err(io::Error::other)?;
    in_memory(&Zeroizing::new(bytes))
}

/// The same file, read from its beginning whatever becomes of the other.
pub(crate) fn reopened(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// An open file without a name that holds these bytes for ever.
pub(crate) fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // A kernel before 6.3 does not know that such a file is never a program; a newer one may ask that it is said.
    let descriptor: OwnedFd = match memfd_create(c"secret", flags | MFdFlags::from_bits_retain(NEVER_A_PROGRAM)) {
        Err(Errno::EINVAL) => memfd_create(c"secret", flags)?,
        made => made?,
    };
    let mut file = File::from(descriptor);
    file.write_all(bytes)?;
    file.rewind()?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// Reads standard input where it is a file, and closes it.
fn take_input<T: serde::de::DeserializeOwned>() -> io::Result<Option<T>> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let about = input.metadata()?;
    if !about.is_file() {
        return Ok(None);
    }
    let length = usize::try_from(about.len().min(MAXIMUM_INPUT_BYTES)).map_err(io::Error::other)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    input.take(MAXIMUM_INPUT_BYTES).read_to_end(&mut bytes)?;
    dup2_stdin(File::open("/dev/null")?)?;
    match postcard::take_from_bytes(&bytes) {
        Ok((value, [])) => Ok(Some(value)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "what was handed over as secrets cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::document::Segment;
    use std::os::unix::fs::FileExt as _;

    fn secrets() -> JobSecrets {
        JobSecrets(vec![(1, "hunter2".to_owned().into()), (3, "the token".to_owned().into())])
    }

    fn parameters() -> Vec<Parameter> {
        ["host", "key", "level", "token"].map(|name| Parameter { name: name.into(), value: Value::string(name) }).into()
    }

    fn secret(index: u16) -> Template {
        Template(vec![Segment::Text("a ".into()), Segment::Secret(index)])
    }

    #[test]
    fn scripts_are_told_paths_and_steps_get_what_they_name() {
        let (secrets, mut parameters) = (secrets(), parameters());
        secrets.put_paths(&mut parameters);
        assert_eq!(secret(1).fill(&parameters), "a /proc/self/fd/100");
        assert_eq!(secret(3).fill(&parameters), "a /proc/self/fd/101");
        let variables = BTreeMap::from([("T".to_owned(), secret(1))]);
        let step = secrets.for_step(&[secret(3)], &variables, &parameters).unwrap();
        assert_eq!(step.files, [(1, "the token".to_owned())], "not the one that no line names");
        assert_eq!(step.environment["T"], "a hunter2");
        let none = secrets.for_step(&[], &BTreeMap::new(), &parameters).unwrap();
        assert!(none.to_input().unwrap().is_none());
        let bomb = BTreeMap::from([("T".to_owned(), Template(vec![Segment::Secret(1); 100_000]))]);
        assert!(secrets.for_step(&[], &bomb, &parameters).unwrap_err().contains("131072"));
    }

    #[test]
    fn what_is_handed_over_reads_back_and_cannot_be_changed() {
        let input = secrets().to_input().unwrap().unwrap();
        let mut bytes = Vec::new();
        input.try_clone().unwrap().read_to_end(&mut bytes).unwrap();
        let parts: Vec<(u16, String)> = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(parts, [(1, "hunter2".to_owned()), (3, "the token".to_owned())]);
        assert!(input.write_at(b"x", 0).is_err() && input.set_len(0).is_err());
        let mut again = Vec::new();
        reopened(&input).unwrap().read_to_end(&mut again).unwrap();
        assert_eq!(again, bytes, "from the beginning, though the other was read to its end");
        assert!(JobSecrets::default().to_input().unwrap().is_none());
    }

    #[test]
    fn nothing_prints_a_value_and_only_text_is_taken() {
        let step = secrets().for_step(&[secret(1)], &BTreeMap::from([("T".to_owned(), secret(3))]), &parameters()).unwrap();
        let printed = format!("{:?} {step:?} {:?}", secrets(), secrets().needles());
        assert!(!printed.contains("hunter2") && !printed.contains("token"), "{printed}");
        let opened = |value: &[u8]| vec![OpenedSecret { parameter: 0, value: value.to_vec().into() }];
        assert!(JobSecrets::of_order(opened(b"\xff")).is_err() && JobSecrets::of_order(opened(b"a\0b")).is_err());
        assert!(JobSecrets::of_order(opened("ä".as_bytes())).unwrap().has(0));
    }
}
