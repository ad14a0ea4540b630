//! `AWS:InstanceDetailedInformation`: processor, memory, board, firmware and disks, in one row.
//!
//! Everything is the kernel's: `/proc/cpuinfo`, `/proc/meminfo`, the device tree of a board or the DMI tables of a PC, and `/sys/block`. What
//! changes by itself (load, free memory) is no inventory, and neither are serial numbers, which only root may read for good reason.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use flotilla_protocol::capability::inventory::Row;

use super::{GatherError, row, small_file};

/// SSM's names, and what a device has beside them.
pub(super) const ATTRIBUTES: &[&str] =
    &["Board", "CPUCores", "CPUModel", "CPUSpeedMHz", "CPUs", "Disks", "Firmware", "KernelVersion", "MemoryBytes"];

/// Of each file of /proc that much is read, in bytes: a machine with 512 processors has so much to say.
const MAXIMUM_PROC_BYTES: u64 = 1024 * 1024;
/// Disks of one device at most.
const MAXIMUM_DISKS: usize = 64;
/// The kernel counts disks in sectors of this size, whatever theirs is (sysfs-block).
const SECTOR_BYTES: u64 = 512;
/// Where they have a board's or a PC's model, in this order.
const BOARDS: [&str; 3] = ["proc/device-tree/model", "sys/class/dmi/id/product_name", "sys/class/dmi/id/board_name"];
/// And the version of the firmware.
const FIRMWARE: [&str; 2] = ["sys/class/dmi/id/bios_version", "proc/device-tree/chosen/u-boot,version"];

/// The one row.
pub(super) fn rows(root: &Path) -> Result<Vec<Row>, GatherError> {
    let processors = Processors::read(root);
    let first = |paths: &[&str]| paths.iter().find_map(|path| small_file(&root.join(path))).unwrap_or_default();
    let count = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let speed = small_file(&root.join("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"));
    let speed_mhz = speed.and_then(|kilohertz| kilohertz.parse::<u64>().ok()).map(|kilohertz| kilohertz / 1000);
    Ok(vec![row(
        ATTRIBUTES,
        [
            ("Board", first(&BOARDS)),
            ("CPUCores", count(processors.cores)),
            ("CPUModel", processors.model),
            ("CPUSpeedMHz", speed_mhz.map(|speed| speed.to_string()).unwrap_or_default()),
            ("CPUs", count(processors.count)),
            ("Disks", disks(root).join(", ")),
            ("Firmware", first(&FIRMWARE)),
            ("KernelVersion", small_file(&root.join("proc/sys/kernel/osrelease")).unwrap_or_default()),
            ("MemoryBytes", memory_bytes(root).map(|bytes| bytes.to_string()).unwrap_or_default()),
        ],
    )])
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Processors {
    count: usize,
    cores: usize,
    model: String,
}

impl Processors {
    /// The form of `/proc/cpuinfo` is another one for each architecture; these names cover x86, ARM, RISC-V and MIPS.
    fn read(root: &Path) -> Self {
        let mut found = Self::default();
        let (mut package, mut cores) = (String::new(), BTreeSet::new());
        for line in lines(&root.join("proc/cpuinfo")) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.trim() {
                "processor" => found.count += 1,
                "physical id" => value.clone_into(&mut package),
                "core id" => drop(cores.insert((package.clone(), value.to_owned()))),
                "model name" | "cpu model" | "uarch" => value.clone_into(&mut found.model),
                // Raspberry Pi: the name of its chip, where no model is named.
                "Hardware" if found.model.is_empty() => value.clone_into(&mut found.model),
                _ => {}
            }
        }
        found.cores = if cores.is_empty() { found.count } else { cores.len() };
        found
    }
}

fn memory_bytes(root: &Path) -> Option<u64> {
    let line = lines(&root.join("proc/meminfo")).find(|line| line.starts_with("MemTotal:"))?;
    line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// `name model size`, in the order of their names; what is no device of its own (loops, memory) is none.
fn disks(root: &Path) -> Vec<String> {
    let folder = root.join("sys/block");
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let names: BTreeSet<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let disk = |name: String| {
        let of = |file: &str| small_file(&folder.join(&name).join(file));
        if ["loop", "ram", "zram", "dm-", "md", "nbd"].iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        let bytes = of("size")?.parse::<u64>().ok()?.checked_mul(SECTOR_BYTES).filter(|bytes| *bytes > 0)?;
        let model = of("device/model").or_else(|| of("device/name")).map(|model| format!(" {model}")).unwrap_or_default();
        Some(format!("{name}{model} {bytes}"))
    };
    names.into_iter().filter_map(disk).take(MAXIMUM_DISKS).collect()
}

/// The lines of a file of /proc; none where it is not there.
fn lines(path: &Path) -> impl Iterator<Item = String> + use<> {
    let lines = File::open(path).ok().map(|file| BufReader::new(file.take(MAXIMUM_PROC_BYTES)).split(b'\n'));
    lines.into_iter().flatten().map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
    }

    #[test]
    fn a_board_with_four_cores() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let cpu = |number: u32| format!("processor\t: {number}\nBogoMIPS\t: 108.00\nCPU architecture: 8\n\n");
        let cpus: String = (0..4).map(cpu).collect();
        write(root, "proc/cpuinfo", &format!("{cpus}Hardware\t: BCM2835\nSerial\t\t: 100000001234\nModel\t\t: Board 4\n"));
        write(root, "proc/meminfo", "MemTotal:        3884340 kB\nMemFree: 1 kB\n");
        write(root, "proc/device-tree/model", "Board 4 Model B Rev 1.4\0");
        write(root, "sys/block/mmcblk0/size", "62333952\n");
        write(root, "sys/block/mmcblk0/device/name", "SC32G\n");
        write(root, "sys/block/loop0/size", "8\n");
        let expected = ["Board 4 Model B Rev 1.4", "4", "BCM2835", "", "4", "mmcblk0 SC32G 31914983424", "", "", "3977564160"];
        assert_eq!(rows(root).unwrap(), [expected]);
    }

    #[test]
    fn a_machine_that_says_nothing_has_an_empty_row() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(rows(root.path()).unwrap(), [[""; 9]]);
    }
}
